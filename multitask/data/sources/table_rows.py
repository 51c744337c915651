"""The rows of a table as columns: paths, labels, groups, boxes and whatever else its settings name."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from multitask.data.samples import SIDES, Samples, labels_dtype
from multitask.data.sources import cells
from multitask.data.sources.columns import Faults, WordColumn, as_numbers, cells_of, read_each
from multitask.data.sources.path_column import PathColumn
from multitask.data.sources.table_labels import LabelColumn
from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace
from multitask.utils.spelling import canonical_path, find_file
from multitask.utils.strings import Strings
from multitask.utils.texts import Codes, release_arrow

if TYPE_CHECKING:
    import pyarrow as pa

    from multitask.data.sources.table import TableSettings

MISSING_GROUPS = frozenset(("nan", "NaN", "<NA>", "None", "NULL", "null", "NaT", "#N/A"))
"""Groups that are none: all images of an unknown group would be one group."""
_NO_GROUP = "which is how programs write what is missing; give each of these images a group of its own"


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
        self.num = 0
        self.weights: list[NDArray[np.float32]] = []
        self.sides: list[Codes] = []
        self.boxes: list[NDArray[np.float64]] = []
        self.eyes: list[NDArray[np.float64]] = []
        self._lines: array[int] | None = None  # in a Parquet file they are the rows' own
        self._sides: dict[str, int] = {}
        name = self.table.name
        self._paths = PathColumn(root, settings.path)
        self._tasks = [LabelColumn(task, settings.tasks.get(task.name), name) for task in space.tasks] if space else []
        self._groups, self._ids = (
            None if column is None or space is None else WordColumn(name, column, forbidden, _NO_GROUP)
            for column, forbidden in ((settings.group, MISSING_GROUPS), (settings.id, ()))
        )
        self._read()

    def where(self, row: int) -> str:
        """The file and the number of a row, as errors name it."""
        return f"{self.table}, {self._line(row)}"

    def _line(self, row: int) -> str:
        return f"{cells.unit(self.table)} {row + 1 if self._lines is None else self._lines[row]}"

    def _read(self) -> None:
        settings = self.settings
        for part in cells.parts(self.table, self.columns, settings.delimiter, settings.encoding):
            if cells.unit(self.table) == "line":
                self._lines = self._lines or array("q")
                self._lines.extend(part.lines)
            faults = Faults()
            self._read_part(part.columns, faults)
            if faults.error is not None:
                raise UserError(f"{self.where(self.num + faults.row)}: {faults.error}")
            self.num += len(part.lines)
        if not self.num:
            raise UserError(f"{self.table}: holds no rows")
        release_arrow()
        self.images = self._paths.strings()
        self._check_distinct()

    def _read_part(self, columns: Mapping[str, pa.Array], faults: Faults) -> None:
        """Reads a part of the rows; of what is wrong in one row, the first in this order is told."""
        settings = self.settings
        self._paths.read(columns[settings.path], faults)
        for labels in self._tasks:
            labels.read_part(columns, faults)
        if settings.box is not None:
            self.boxes.append(_boxes(columns, settings.box, faults))
        if settings.eyes is not None:
            self.eyes.append(_eyes(columns, settings.eyes, faults))
        for words in (self._groups, self._ids):
            if words is not None:
                words.read(columns[words.name], faults)
        if self.space is None:
            return
        if settings.weight is not None:
            self.weights.append(_weights(columns, settings.weight, faults))
        if settings.split is not None:
            codes, sides = read_each(columns[settings.split], self._side, MISSING, faults)
            self.sides.append(np.array(sides, dtype=np.int64)[codes])

    def _side(self, cell: object) -> int:
        """The side that a word means, with a memory of the distinct words."""
        word, column = cells.text(cell), self.settings.split
        if word not in self._sides:
            try:
                self._sides[word] = self.settings.splits.side(word)
            except UserError as error:
                raise UserError(f"{column}: {error}") from None
        return self._sides[word]

    def _check_distinct(self) -> None:
        rows = self._paths.rows_alike()
        seen: dict[str, int] = {}
        for row, image in zip(rows.tolist(), self.images[rows], strict=True):
            first = seen.setdefault(canonical_path(image), row)
            if first != row and not self._both_there(first, row):
                raise UserError(f"{self.where(row)}: {self.settings.path} {image!r} stands in {self._line(first)} too")

    def _both_there(self, first: int, second: int) -> bool:
        """Whether two paths that look alike are two files."""
        files = [find_file(self.root, self.images[row]) for row in (first, second)]
        return files[0] != files[1] and all(map(os.path.lexists, files))

    def notes(self) -> Iterator[str]:
        """Notes to be shown once, on spellings and paths."""
        for words in (self._groups, self._ids):
            if words is not None:
                yield from words.notes()
        for labels in self._tasks:
            yield from labels.spellings.notes()
        if self._paths.num_backslashed:
            yield f"{self.table.name}: {self._paths.num_backslashed:,} paths are written with \\, which is read as /"

    def samples(self, root: Path, space: LabelSpace) -> Samples:
        """The rows as samples of the label space that they were read with."""
        self.settings.links(root).check_images(self.images)
        ids = None if self._ids is None else self._ids.strings()
        groups = self.groups
        return Samples(
            space,
            root,
            self.images,
            groups,
            self._labels(space),
            self._numbers(space),
            np.concatenate(self.weights) if self.weights else np.ones(self.num, dtype=np.float32),
            Strings.repeated(self.settings.name, self.num),
            ids,
            boxes=self.box_array(),
            eyes=self.eye_array(),
            notes=tuple(self.notes()),
        )

    @cached_property
    def groups(self) -> Strings:
        """(N,) the rows' groups; the images where each is on its own."""
        return self.images if self._groups is None else self._groups.strings()

    def _labels(self, space: LabelSpace) -> Codes:
        labels = np.empty((self.num, space.num_tasks), dtype=labels_dtype(space))
        for place, task in enumerate(self._tasks):
            np.concatenate(task.labels, out=labels[:, place])
        return labels

    def _numbers(self, space: LabelSpace) -> NDArray[np.floating[Any]]:
        parts = [part for task in self._tasks for part in task.numbers]
        numbers = np.full((self.num, space.num_tasks), np.nan, dtype=np.result_type(np.float32, *parts))
        for place, task in enumerate(self._tasks):
            if task.numbers:
                np.concatenate(task.numbers, out=numbers[:, place])
        return numbers

    def box_array(self) -> NDArray[np.float64] | None:
        """(N, 4) the rows' boxes; None where the table has none."""
        return np.concatenate(self.boxes) if self.boxes else None

    def eye_array(self) -> NDArray[np.float64] | None:
        """(N, 4) the rows' eyes, as of ``Samples.eyes``; None where the table has none."""
        return np.concatenate(self.eyes) if self.eyes else None

    def sides_by_group(self) -> NDArray[np.int64]:
        """(N,) the rows' sides, as of ``Samples.sides``.

        Raises:
            UserError: a group is on two.
        """
        groups, sides = self.groups, np.concatenate(self.sides)
        numbers = groups.numbers()
        firsts = np.flatnonzero(np.diff(np.maximum.accumulate(numbers), prepend=-1))
        wrong = sides != sides[firsts][numbers]
        if wrong.any():
            row = int(np.argmax(wrong))
            other = int(firsts[numbers[row]])
            raise UserError(
                f"{self.where(row)}: group {groups[row]!r} is in {_side_name(sides[row])!r} here and in "
                f"{_side_name(sides[other])!r} in {self._line(other)}; a group cannot be in both"
            )
        return sides


def _boxes(columns: Mapping[str, pa.Array], names: Sequence[str], faults: Faults) -> NDArray[np.float64]:
    """(n, 4) as of ``cells.box``."""
    found = np.stack([as_numbers(columns, name, faults) for name in names], axis=1)
    good = np.isnan(found).all(axis=1) | ((found[:, 0] < found[:, 2]) & (found[:, 1] < found[:, 3]))
    faults.look(good, lambda row: cells.box(cells_of(columns, names, row), names))
    return found


def _eyes(columns: Mapping[str, pa.Array], names: Sequence[str], faults: Faults) -> NDArray[np.float64]:
    """(n, 4) as of ``cells.eyes``."""
    found = np.stack([as_numbers(columns, name, faults) for name in names], axis=1)
    missing = np.isnan(found).sum(axis=1)
    good = (missing == 4) | ((missing == 0) & (found[:, :2] != found[:, 2:]).any(axis=1))
    faults.look(good, lambda row: cells.eyes(cells_of(columns, names, row), names))
    return found


def _weights(columns: Mapping[str, pa.Array], name: str, faults: Faults) -> NDArray[np.float32]:
    """(n,) numbers of at least 0."""

    def read(row: int) -> None:
        cell = cells_of(columns, [name], row)
        if not cells.number(cell, name) >= 0:
            raise UserError(f"{name}: must be a number of at least 0, found {cell[name]!r}")

    found = as_numbers(columns, name, faults)
    faults.look(found >= 0, read)
    return found.astype(np.float32)


def _side_name(side: int) -> str:
    return "train" if side == MISSING else SIDES[side]  # of whom some may validate
