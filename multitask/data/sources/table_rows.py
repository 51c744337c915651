"""The rows of a table as columns: paths, labels, groups, boxes and whatever else its settings name."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from multitask.data.samples import SIDES, Samples
from multitask.data.sources import cells
from multitask.data.sources.base import inside
from multitask.data.sources.table_labels import LabelReader
from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace
from multitask.utils.spelling import Spellings, canonical_path, find_file

if TYPE_CHECKING:
    from multitask.data.sources.table import TableSettings

MISSING_GROUPS = frozenset(("nan", "NaN", "<NA>", "None", "NULL", "null", "NaT", "#N/A"))
"""Groups that are none: all images of an unknown group would be one group."""
"""Names of no group: how programs write what is missing."""


class TableRows:
    """The rows of a table as columns: of a million, nothing is kept but what the columns hold.

    Args:
        root: the folder of the images.
        file: the table, in it.
        columns: those that it must have.
        settings: of the source, which name the columns.
        space: of the labels to read; None: neither labels are read nor anything else that only labelled images have.

    Raises:
        UserError: the file or a row of it is malformed.
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
        self.eyes = array("d")
        self.num_backslashed = 0
        self._sides: dict[str, int] = {}
        self._tasks = (
            [LabelReader(task, settings.tasks.get(task.name), self.table.name) for task in space.tasks] if space else []
        )
        self._groups, self._ids = (Spellings(f"{self.table.name}, {name}") for name in (settings.group, settings.id))
        self._read()

    def where(self, line: int) -> str:
        """The file and the number of a row, as errors name it."""
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
                if settings.eyes is not None:
                    self.eyes.extend(cells.eyes(row, settings.eyes))
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
            if self.groups[-1] in MISSING_GROUPS:
                raise UserError(
                    f"{settings.group}: is {self.groups[-1]!r}, which is how programs write what is missing; give each "
                    "of these images a group of its own"
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
        """The side that a word means, with a memory of the distinct words."""
        if word not in self._sides:
            try:
                self._sides[word] = self.settings.splits.side(word)
            except UserError as error:
                raise UserError(f"{column}: {error}") from None
        return self._sides[word]

    def _image(self, text: str) -> str:
        """An image's path: with the slashes of Windows, too, unless a file is really called so."""
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
        """Notes to be shown once, on spellings and paths."""
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
            eyes=self.eye_array(),
            notes=tuple(self.notes()),
        )

    def box_array(self) -> NDArray[np.float64] | None:
        """(N, 4) the rows' boxes; None where the table has none."""
        return np.array(self.boxes, dtype=np.float64).reshape(-1, 4) if self.boxes else None

    def eye_array(self) -> NDArray[np.float64] | None:
        """(N, 4) the rows' eyes, as of ``Samples.eyes``; None where the table has none."""
        return np.array(self.eyes, dtype=np.float64).reshape(-1, 4) if self.eyes else None

    def sides_by_group(self) -> NDArray[np.int64]:
        """(N,) the rows' sides, as of ``Samples.sides``.

        Raises:
            UserError: a group is on two.
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


def _word(row: Mapping[str, Any], column: str, spellings: Spellings) -> str:
    """The text of a cell that must not be empty, kept once however many rows have it."""
    word = spellings.read(cells.text(row[column]))
    if not word:
        raise UserError(f"{column}: is empty")
    return word


def _side_name(side: int) -> str:
    return "train" if side == MISSING else SIDES[side]  # of whom some may validate
