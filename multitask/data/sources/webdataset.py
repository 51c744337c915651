"""WebDataset shards: tar files of which members of one name are one sample, read at their place."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, field_validator, model_validator

from multitask.data.samples import SIDES, Files, Queries, Samples
from multitask.data.sources import cells
from multitask.data.sources.base import RootedSettings, inside
from multitask.data.sources.shard_index import Shard, read_shard
from multitask.data.sources.shard_paths import expand_braces, shards_of
from multitask.data.sources.table_labels import LabelReader
from multitask.data.sources.table_rows import MISSING_GROUPS
from multitask.data.sources.table_settings import Column, ColumnSettings, check_tasks
from multitask.errors import UserError, nearest
from multitask.labels import MISSING, LabelSpace
from multitask.utils.spelling import Spellings
from multitask.utils.strings import Strings
from multitask.utils.tar_files import DamagedTarError

Patterns = Annotated[
    tuple[str, ...],
    BeforeValidator(
        lambda value: (value,) if isinstance(value, str) else value, json_schema_input_type=str | tuple[str, ...]
    ),
]
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
KEY, SHARD = "__key__", "__shard__"
"""Columns that every sample has: its key, and its shard's path."""


class WebDatasetSettings(RootedSettings):
    """WebDataset shards: tar files in which members of one name, as ``7.jpg`` and ``7.json``, are one sample.

    Of the images only their places are kept in memory. What a sample says is in columns: one for each field of its
    ``.json``, one by the extension of each other text, as ``cls``; and ``__key__`` and ``__shard__``.
    """

    name: Literal["webdataset"] = "webdataset"
    shards: Annotated[Patterns, Field(min_length=1)] = ("*.tar",)
    """The shards in the data root: a pattern, or a list of them, as ``train-{000000..000012}.tar`` or ``*.tar``. All
    train, but for the groups that validate by ``data.val_fraction`` or ``data.folds`` where ``val_shards`` is empty."""
    val_shards: Patterns = ()
    """Those that validate, in place of a random split."""
    test_shards: Patterns = ()
    """Those that test: they neither train nor pick anything."""
    query_shards: Patterns = ("query*.tar",)
    """Those of the images to be answered; where their answers are known, with labels."""
    tasks: dict[str, ColumnSettings] = {}
    """The columns and the spelling of each task's labels, as of a table."""
    key: str | None = None
    """A pattern of keys, whose names in braces are columns too: of ``{product}_{_}`` the column ``product`` is what
    stands before the ``_``. ``{_}`` says nothing."""
    group: Column | None = None
    """The column that says which images must stay together; None: each is on its own."""
    weight: Column | None = None
    """The column of how much each image counts in the loss: a number of at least 0; only the ratios matter."""
    damaged: Literal["error", "skip"] = "error"
    """What is done with shards that are cut or damaged; those that are skipped, whole, are counted."""
    incomplete: Literal["error", "skip"] = "error"
    """What is done with samples without an image, or that lack the column of a label; those skipped are counted."""

    @field_validator("shards", "val_shards", "test_shards", "query_shards")
    @classmethod
    def _are_patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            inside(pattern, "a pattern")
            for path in expand_braces(pattern)[:1]:
                if path.startswith(("http:", "https:", "s3:", "gs:", "pipe:")):
                    raise ValueError(f"must be paths in the data root, found {path!r}; fetch remote shards first")
                if not path.endswith(".tar"):
                    more = "; unpack it: images are read at their place" if path.endswith(("gz", "zst", "bz2")) else ""
                    raise ValueError(f"must end in .tar, found {path!r}{more}")
        return patterns

    @model_validator(mode="after")
    def _check(self) -> WebDatasetSettings:
        names = _PLACEHOLDER.findall(self.key or "{_}")
        for name in names:
            if name != "_" and names.count(name) > 1:
                raise ValueError(f"key: {{{name}}} stands twice in {self.key!r}")
        if not names or re.search(r"[{}]", _PLACEHOLDER.sub("", self.key or "")):
            raise ValueError(f"key: must have the name of a column in each pair of braces, found {self.key!r}")
        return self

    @property
    def says_sides(self) -> bool:
        """Whether some shards validate."""
        return bool(self.val_shards)

    def check(self, space: LabelSpace) -> None:
        """Refuses tasks that the label space lacks, and classes in another order."""
        check_tasks(self.tasks, space)

    def samples(self, root: Path, space: LabelSpace) -> Samples:
        """The samples of the shards that train, validate and test, in the order of the shards."""
        patterns = {"shards": self.shards, "val_shards": self.val_shards, "test_shards": self.test_shards}
        found = {key: shards_of(root, value, key) for key, value in patterns.items() if value}
        first: dict[str, str] = {}
        for key, shards in found.items():
            for shard in shards:
                if first.setdefault(shard, key) != key:
                    raise UserError(f"data.source.{key}: {shard} stands in {first[shard]} too")
        sides = list(range(len(SIDES)))
        sides[0] = sides[0] if self.says_sides else MISSING
        sided = [(shard, side) for key, side in zip(patterns, sides, strict=True) for shard in found.get(key, [])]
        rows = _Rows(self, root, sided, space)
        return rows.samples(says_sides=len(found) > 1)

    def queries(self, root: Path) -> Queries:
        """The images of ``query_shards``, in their order; answers call them by shard and name."""
        rows = _Rows(self, root, [(shard, 0) for shard in shards_of(root, self.query_shards, "query_shards")], None)
        images = Strings.of(rows.images)
        return Queries(images, Files(images, root.joinpath), "path", "names", notes=tuple(rows.notes()))

    def answered(self, root: Path, space: LabelSpace) -> Samples:
        """The images of ``query_shards``, which must have labels."""
        shards = [(shard, 0) for shard in shards_of(root, self.query_shards, "query_shards")]
        return _Rows(self, root, shards, space).samples(says_sides=False)


class _Rows:
    """The samples of shards as columns.

    Args:
        settings: of the source.
        root: the data root.
        shards: paths in it, each with the side of its samples.
        space: of the labels to read; None: neither they are read nor groups.
    """

    def __init__(
        self, settings: WebDatasetSettings, root: Path, shards: list[tuple[str, int]], space: LabelSpace | None
    ) -> None:
        self.settings, self.root, self.space = settings, root, space
        self.images: list[str] = []
        self.groups: list[str] = []
        self.labels, self.sides = array("q"), array("q")
        self.numbers, self.weights = array("d"), array("f")
        self._tasks = (
            [LabelReader(task, settings.tasks.get(task.name), "shards") for task in space.tasks] if space else []
        )
        self._groups = Spellings(f"shards, {settings.group}")
        self._key = _key_pattern(settings.key)
        self._incomplete: list[str] = []
        self._damaged: list[str] = []
        settings.links(root).check_images(shard for shard, _ in shards)
        for shard, side in shards:
            try:
                read = read_shard(root / shard)
            except DamagedTarError as error:
                self._damaged.append(str(error))
                continue
            self._add(shard, side, read)
        if self._damaged and settings.damaged == "error":
            raise UserError(f"{self._damaged[0]}{_more(self._damaged, 'damaged: skip leaves such shards out')}")
        if self._incomplete and settings.incomplete == "error":
            raise UserError(
                f"{self._incomplete[0]}{_more(self._incomplete, 'incomplete: skip leaves such samples out')}"
            )
        if not self.images:
            raise UserError(f"{root}: the shards hold no samples")

    def _add(self, shard: str, side: int, read: Shard) -> None:
        self._incomplete.extend(f"{self.root / shard}, {key}: has no image" for key in read.without)
        place = self.root / shard
        for key, image, words in zip(read.keys, read.images, read.words, strict=True):
            where = f"{place}, {key}"
            try:
                row = self._row(key, shard, words)
                lacking = next((task.column for task in self._tasks if task.column not in row), None)
                if lacking is not None:
                    near = nearest(lacking, row)
                    self._incomplete.append(
                        f"{where}: says nothing of {lacking!r}, as {lacking}.txt or JSON would{near}"
                    )
                    continue
                self._take(f"{shard}/{image}", row)
            except UserError as error:
                raise UserError(f"{where}: {error}") from None
            self.sides.append(side)

    def _row(self, key: str, shard: str, words: dict[str, str]) -> Mapping[str, Any]:
        """A sample's columns."""
        row = {**words, KEY: key, SHARD: shard}
        if self._key is not None:
            found = self._key.fullmatch(key)
            if found is None:
                raise UserError(f"does not match the pattern key: {self.settings.key!r}")
            row |= found.groupdict()
        return row

    def _take(self, image: str, row: Mapping[str, Any]) -> None:
        settings = self.settings
        if self.space is not None:
            read = [task.read(row) for task in self._tasks]
            group = None if settings.group is None else self._groups.read(cells.text(_of(row, settings.group)))
            if group is not None and (not group or group in MISSING_GROUPS):
                raise UserError(f"{settings.group}: is {group!r}, which names no group; give each such image its own")
            if settings.weight is not None:
                weight = cells.number({"": _of(row, settings.weight)}, "")
                if not weight >= 0:
                    raise UserError(
                        f"{settings.weight}: must be a number of at least 0, found {row[settings.weight]!r}"
                    )
                self.weights.append(weight)
            self.labels.extend(label for label, _ in read)
            self.numbers.extend(number for _, number in read)
            if group is not None:
                self.groups.append(group)
        self.images.append(image)

    def notes(self) -> Iterator[str]:
        """Notes to be shown once: what was left out, and spellings."""
        for what, found in (("shard is damaged and", self._damaged), ("sample is incomplete and", self._incomplete)):
            if found:
                many = what if len(found) == 1 else what.replace(" is", "s are")
                yield f"{len(found):,} {many} left out: {found[0]}"
        for spellings in (self._groups, *(task.spellings for task in self._tasks)):
            yield from spellings.notes()

    def samples(self, *, says_sides: bool) -> Samples:
        """The rows as samples of the label space that they were read with."""
        assert self.space is not None, "labels were not read"
        num, images = len(self.images), Strings.of(self.images)
        samples = Samples(
            self.space,
            self.root,
            images,
            Strings.of(self.groups) if self.groups else images,
            np.array(self.labels, dtype=np.int64).reshape(num, self.space.num_tasks),
            np.array(self.numbers, dtype=np.float64).reshape(num, self.space.num_tasks),
            np.array(self.weights, dtype=np.float32) if self.weights else np.ones(num, dtype=np.float32),
            Strings.repeated(self.settings.name, num),
            sides=self._sides_by_group() if says_sides else None,
            notes=tuple(self.notes()),
        )
        samples.check_possible()
        return samples

    def _sides_by_group(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        first: dict[str, int] = {}
        for row, (group, side) in enumerate(zip(self.groups or self.images, self.sides, strict=True)):
            other = first.setdefault(group, row)
            if self.sides[other] != side:
                raise UserError(
                    f"{self.root / self.images[row]}: group {group!r} is also in {self.images[other]}, whose shard is "
                    "on another side; a group cannot be on both"
                )
        return np.array(self.sides, dtype=np.int64)


def _of(row: Mapping[str, Any], column: str) -> Any:
    if column not in row:
        raise UserError(f"has no column {column!r}{nearest(column, row)}")
    return row[column]


def _key_pattern(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    parts = [
        re.escape(part) if index % 2 == 0 else ".+?" if part == "_" else f"(?P<{part}>.+?)"
        for index, part in enumerate(_PLACEHOLDER.split(pattern))
    ]
    return re.compile("".join(parts))


def _more(found: list[str], how: str) -> str:
    more = f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
    return f"{more}; {how}"
