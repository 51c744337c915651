"""Samples from a table: a CSV or Parquet file with a path column and a column for every task."""

from __future__ import annotations

import codecs
import math
import os
import re
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from multitask.data.samples import SIDES, Queries, Samples
from multitask.data.sources import cells
from multitask.data.sources.base import RootedSettings, all_there, inside
from multitask.data.sources.split_words import SplitWords
from multitask.errors import UserError, nearest
from multitask.labels import MISSING, LabelSpace, Task
from multitask.settings import Bool, Settings
from multitask.utils.spelling import Name, Spellings, canonical, canonical_path, find_file, missing_hint

Column = Annotated[Name, Field(min_length=1)]
FILES = (".csv", ".tsv", ".parquet")


class ColumnSettings(Settings):
    """How a table says a task's labels."""

    column: Column | None = None
    """Its name; None: the task's."""
    indices: Bool = False
    """Whether it holds indices of classes, from 0, in place of names or numbers; of two classes also False and True."""
    number: Column | None = None
    """A column with the raw number behind the label; a binned task's own column is that already."""


class TableSettings(RootedSettings):
    """A row for every picture; an empty cell is a label that nobody knows."""

    name: Literal["table"] = "table"
    file: str = "train.csv"
    """The table, in the data root; ``.csv``, ``.tsv`` or ``.parquet``."""
    query_file: str = "queries.csv"
    """A table of the pictures to be answered, in the data root; where their answers are known, those and groups too."""
    delimiter: Literal[",", ";", "\t", "|"] = ","
    """What stands between the cells of a CSV file."""
    encoding: str = "utf-8"
    """Of a CSV file that does not say it by a byte order mark, as ``cp1252`` or ``cp949``."""
    path: Column = "path"
    """The column of the pictures' paths, relative to the data root."""
    tasks: dict[str, ColumnSettings] = {}
    """How each task's labels are written; a task that is not named has class names (a binned one numbers) in a column
    of its own name."""
    group: Column | None = None
    """The column that says which pictures must stay together; None: each is on its own."""
    id: Column | None = None
    """A column by which corrections may find pictures."""
    weight: Column | None = None
    """The column of how much each picture counts in the loss: a number of at least 0; only the ratios matter."""
    split: Column | None = None
    """The column that says of each picture whether it trains, validates or tests, in place of a random split."""
    splits: SplitWords = SplitWords()
    """By which words it says so."""
    box: tuple[Column, Column, Column, Column] | None = None
    """The columns of left, top, right and bottom of what matters in each picture, in pixels; all empty: unknown."""

    @model_validator(mode="after")
    def _check(self) -> TableSettings:
        for key in ("file", "query_file"):
            file = inside(getattr(self, key), key)
            if not file.lower().endswith(FILES):
                raise ValueError(f"{key}: must end in {', '.join(FILES[:-1])} or {FILES[-1]}, found {file!r}")
        if self.file.lower().endswith(".parquet") and self.query_file.lower().endswith(".parquet"):
            for key in ("delimiter", "encoding"):
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise ValueError(f"{key}: {getattr(self, key)!r} would be ignored: a Parquet file says itself")
        if self.split is None and self.splits != SplitWords():
            raise ValueError("splits: would be ignored, since split names no column")
        try:
            "".encode(self.encoding)
            codecs.lookup(self.encoding)
        except (LookupError, ValueError):
            raise ValueError(f"encoding: must be one that Python knows, as cp1252, found {self.encoding!r}") from None
        return self

    @property
    def says_sides(self) -> bool:
        """Whether there is a split column that says who validates."""
        return self.split is not None and self.splits.says_val

    def check(self, space: LabelSpace) -> None:
        """Every task named is one of the label space's, and none has its number from two columns."""
        for name, column in self.tasks.items():
            if name not in space.task_names:
                raise UserError(f"tasks.{name}: labels.tasks has no such task{nearest(name, space.task_names)}")
            if column.number and not column.indices and space.tasks[space.task_names.index(name)].kind == "binned":
                raise UserError(
                    f"tasks.{name}.number: {column.number!r} would be ignored: a binned task's own column is its number"
                )

    def samples(self, root: Path, space: LabelSpace) -> Samples:
        """The rows of ``file``, in its order."""
        rows = _Rows(root, self.file, self._columns(space), self, space)
        samples = rows.samples(root, space)
        if self.split is not None:
            samples = replace(samples, sides=rows.sides_by_group())
        samples.check_possible()
        return samples

    def queries(self, root: Path) -> Queries:
        """The rows of ``query_file``, in its order."""
        columns = [self.path, *(self.box or ())]
        rows = _Rows(root, self.query_file, columns, self, None)
        self.links(root).check_images(rows.images)
        paths = all_there((find_file(root, image) for image in rows.images), str(rows.table))
        return Queries(tuple(rows.images), paths, self.path, "names", rows.box_array())

    def answered(self, root: Path, space: LabelSpace) -> Samples:
        """The rows of ``query_file``, which must have the columns of labels and groups too."""
        settings = self.model_copy(update={"weight": None, "split": None, "splits": SplitWords()})
        rows = _Rows(root, self.query_file, settings._columns(space), settings, space)
        samples = rows.samples(root, space)
        samples.check_possible()
        return samples

    def _columns(self, space: LabelSpace) -> list[str]:
        """Those that a table with labels must have."""
        of_tasks = [self.tasks.get(name, ColumnSettings()) for name in space.task_names]
        named = [settings.column or name for name, settings in zip(space.task_names, of_tasks, strict=True)]
        numbers = [settings.number for settings in of_tasks]
        told = [self.group, self.id, self.weight, self.split, *(self.box or ())]
        return [self.path, *named, *(column for column in (*numbers, *told) if column is not None)]


class _Rows:
    """The rows of a table as columns: of a million, nothing is kept but what the columns hold.

    Args:
        root: the folder of the pictures.
        file: the table, in it.
        columns: those that it must have.
        settings: what they mean.
        space: what labels are read; None: none are, nor anything else that only labelled pictures have.

    Raises:
        UserError: the file or a row of it is not as it must be.
    """

    def __init__(
        self, root: Path, file: str, columns: list[str], settings: TableSettings, space: LabelSpace | None
    ) -> None:
        self.root = root
        self.table = find_file(root, file)
        self.columns = columns
        self.settings = settings
        self.space = space
        self.images: list[str] = []
        self.groups: list[str] = []
        self.ids: list[str] = []
        self.lines = array("q")
        self.labels = array("q")
        self.numbers = array("d")
        self.weights = array("f")
        self.sides = array("q")
        self.boxes = array("d")
        self.num_backslashed = 0
        self._sides: dict[str, int] = {}
        self._tasks = (
            [_Labels(task, settings.tasks.get(task.name), self.table.name) for task in space.tasks] if space else []
        )
        self._groups, self._ids = (Spellings(f"{self.table.name}, {name}") for name in (settings.group, settings.id))
        self._read()

    def where(self, line: int) -> str:
        """How a row is called in an error."""
        return f"{self.table}, {cells.unit(self.table)} {line}"

    def _read(self) -> None:
        settings = self.settings
        for line, row in cells.rows(self.table, self.columns, settings.delimiter, settings.encoding):
            try:
                self.images.append(self._image(cells.text(row[settings.path])))
                for labels in self._tasks:
                    label, number = labels.read(row)
                    self.labels.append(label)
                    self.numbers.append(number)
                if settings.box is not None:
                    self.boxes.extend(cells.box(row, settings.box))
                if self.space is not None:
                    self._read_rest(row)
            except UserError as error:
                raise UserError(f"{self.where(line)}: {error}") from None
            self.lines.append(line)
        if not self.images:
            raise UserError(f"{self.table}: holds no rows")
        self._check_distinct()

    def _read_rest(self, row: Mapping[str, Any]) -> None:
        settings = self.settings
        if settings.group is not None:
            self.groups.append(_word(row, settings.group, self._groups))
            if self.groups[-1] in _NOBODY:
                raise UserError(
                    f"{settings.group}: is {self.groups[-1]!r}, which is how programs write what is missing; give each "
                    "of these pictures a group of its own"
                )
        if settings.id is not None:
            self.ids.append(_word(row, settings.id, self._ids))
        if settings.weight is not None:
            weight = cells.number(row, settings.weight)
            if not weight >= 0:
                raise UserError(f"{settings.weight}: must be a number of at least 0, found {row[settings.weight]!r}")
            self.weights.append(weight)
        if settings.split is not None:
            self.sides.append(self._side(cells.text(row[settings.split]), settings.split))

    def _side(self, word: str, column: str) -> int:
        """The side that a word means, each distinct word looked at once."""
        if word not in self._sides:
            try:
                self._sides[word] = self.settings.splits.side(word)
            except UserError as error:
                raise UserError(f"{column}: {error}") from None
        return self._sides[word]

    def _image(self, text: str) -> str:
        """A picture's path: with the slashes of Windows, too, unless a file is really called so."""
        image = inside(text, self.settings.path)
        if "\\" in image and not os.path.lexists(self.root / image):
            self.num_backslashed += 1
            image = inside(image.replace("\\", "/"), self.settings.path)
        return image

    def _check_distinct(self) -> None:
        names = [canonical_path(image) for image in self.images]
        if len(set(names)) == len(names):
            return
        seen: dict[str, int] = {}
        for row, name in enumerate(names):
            first = seen.setdefault(name, row)
            if first != row and not self._both_there(first, row):
                other = f"{cells.unit(self.table)} {self.lines[first]}"
                raise UserError(
                    f"{self.where(self.lines[row])}: {self.settings.path} {self.images[row]!r} stands in {other} too"
                )

    def _both_there(self, first: int, second: int) -> bool:
        """Whether two paths that look alike are two files."""
        files = [find_file(self.root, self.images[row]) for row in (first, second)]
        return files[0] != files[1] and all(map(os.path.lexists, files))

    def notes(self) -> Iterator[str]:
        """What must be told once of how the table is written."""
        for spellings in (self._groups, self._ids, *(labels.spellings for labels in self._tasks)):
            yield from spellings.notes()
        if self.num_backslashed:
            yield f"{self.table.name}: {self.num_backslashed:,} paths are written with \\, which is read as /"

    def samples(self, root: Path, space: LabelSpace) -> Samples:
        """The rows as samples of the label space that they were read with."""
        self.settings.links(root).check_images(self.images)
        num = len(self.images)
        images = np.array(self.images, dtype=object)
        return Samples(
            space,
            root,
            images,
            np.array(self.groups, dtype=object) if self.groups else images,
            np.array(self.labels, dtype=np.int64).reshape(num, space.num_tasks),
            np.array(self.numbers, dtype=np.float64).reshape(num, space.num_tasks),
            np.array(self.weights, dtype=np.float32) if self.weights else np.ones(num, dtype=np.float32),
            np.full(num, self.settings.name, dtype=object),
            np.array(self.ids, dtype=object) if self.ids else None,
            boxes=self.box_array(),
            notes=tuple(self.notes()),
        )

    def box_array(self) -> NDArray[np.float64] | None:
        """(N, 4) the rows' boxes; None where the table has none."""
        return np.array(self.boxes, dtype=np.float64).reshape(-1, 4) if self.boxes else None

    def sides_by_group(self) -> NDArray[np.int64]:
        """(N,) the rows' sides.

        Raises:
            UserError: a group is on both.
        """
        first: dict[str, int] = {}
        groups = self.groups or self.images
        for row, (group, side) in enumerate(zip(groups, self.sides, strict=True)):
            other = first.setdefault(group, row)
            if self.sides[other] != side:
                raise UserError(
                    f"{self.where(self.lines[row])}: group {group!r} is in {_side_name(side)!r} here and in "
                    f"{_side_name(self.sides[other])!r} in {cells.unit(self.table)} {self.lines[other]}; "
                    "a group cannot be in both"
                )
        return np.array(self.sides, dtype=np.int64)


_NOBODY = frozenset(("nan", "NaN", "<NA>", "None", "NULL", "null", "NaT", "#N/A"))
"""Groups that are none: whoever is not known would be one person."""


def _word(row: Mapping[str, Any], column: str, spellings: Spellings) -> str:
    """The text of a cell that must not be empty, kept once however many rows have it."""
    word = spellings.read(cells.text(row[column]))
    if not word:
        raise UserError(f"{column}: is empty")
    return word


_INDEX = re.compile(r"(\d+)(?:\.0*)?", re.ASCII)
"""As pandas writes it, too, where a cell of the column is empty: 1.0."""
_TRUTH = {"false": 0, "true": 1}


def _side_name(side: int) -> str:
    return "train" if side == MISSING else SIDES[side]  # of whom some may validate


_MANY = 10_000
"""Distinct labels of one task that are remembered: a measured number may be another in every row."""


class _Labels:
    """Reads one task's cells, each distinct value once."""

    def __init__(self, task: Task, settings: ColumnSettings | None, table: str) -> None:
        settings = settings or ColumnSettings()
        self.task = task
        self.settings = settings
        self.column = settings.column or task.name
        self.spellings = Spellings(f"{table}, {self.column}", task.classes)
        self._known: dict[str, tuple[int, float]] = {}

    def read(self, row: Mapping[str, Any]) -> tuple[int, float]:
        """Label and number of a row; ``MISSING`` and NaN where it has none."""
        word = cells.text(row[self.column])
        known = self._known.get(word)
        if known is None:
            known = self._read(word)
            if len(self._known) < _MANY:
                self._known[word] = known
        if self.settings.number is None:
            return known
        return known[0], cells.number(row, self.settings.number)

    def _read(self, word: str) -> tuple[int, float]:
        name = canonical(word)
        if not name:
            return MISSING, math.nan
        if self.settings.indices:
            return self._index(name), math.nan
        label = self.task.index(name)
        if self.task.kind == "binned":
            return label, self.task.number(name)
        self.spellings.read(word)
        return label, math.nan

    def _index(self, name: str) -> int:
        found = _INDEX.fullmatch(name)
        label = int(found[1]) if found else _TRUTH.get(name.lower(), -1) if self.task.num_classes == 2 else -1
        if not 0 <= label < self.task.num_classes:
            hint = missing_hint(name) or ("; leave the cell of an unknown label empty" if name.startswith("-") else "")
            raise UserError(
                f"{self.column}: must be an index of {self.task.name}'s classes, from 0 to "
                f"{self.task.num_classes - 1}, found {name!r}{hint}"
            )
        return label
