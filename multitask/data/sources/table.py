"""Samples from a table: a CSV or Parquet file with a path column and a column for every task."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from multitask.data.samples import SIDES, Queries, Samples
from multitask.data.sources import cells
from multitask.data.sources.base import SourceSettings, all_there, inside
from multitask.errors import UserError, nearest
from multitask.labels import MISSING, LabelSpace, Task
from multitask.settings import Bool, Settings

Column = Annotated[str, Field(min_length=1)]


class ColumnSettings(Settings):
    """How a table says a task's labels."""

    column: Column | None = None
    """Its name; None: the task's."""
    indices: Bool = False
    """Whether it holds indices of classes, from 0, in place of names or numbers."""
    number: Column | None = None
    """A column with the raw number behind the label; a binned task's own column is that already."""


class TableSettings(SourceSettings):
    """A row for every picture; an empty cell is a label that nobody knows."""

    name: Literal["table"] = "table"
    file: str = "train.csv"
    """The table, in the data root; ``.csv`` or ``.parquet``."""
    query_file: str = "queries.csv"
    """A table of the pictures to be answered, in the data root; where their answers are known, those and groups too."""
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
    """The column of how much each picture counts in the loss."""
    split: Column | None = None
    """The column that says ``train`` or ``val`` of each picture, in place of a random split."""
    box: tuple[Column, Column, Column, Column] | None = None
    """The columns of left, top, right and bottom of what matters in each picture, in pixels; all empty: unknown."""

    @model_validator(mode="after")
    def _check(self) -> TableSettings:
        for key in ("file", "query_file"):
            file = inside(getattr(self, key), key)
            if not file.lower().endswith((".csv", ".parquet")):
                raise ValueError(f"{key}: must end in .csv or .parquet, found {file!r}")
        return self

    @property
    def says_sides(self) -> bool:
        """Whether there is a split column."""
        return self.split is not None

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
        table = root / self.file
        rows = _Rows(table, self._columns(space), self, space)
        samples = rows.samples(root, space)
        if self.split is not None:
            samples = replace(samples, sides=rows.sides_by_group())
        samples.check_possible()
        return samples

    def queries(self, root: Path) -> Queries:
        """The rows of ``query_file``, in its order."""
        table = root / self.query_file
        columns = [self.path, *(self.box or ())]
        rows = _Rows(table, columns, self, None)
        paths = all_there((root / image for image in rows.images), str(table))
        return Queries(tuple(rows.images), paths, self.path, "names", rows.box_array())

    def answered(self, root: Path, space: LabelSpace) -> Samples:
        """The rows of ``query_file``, which must have the columns of labels and groups too."""
        settings = self.model_copy(update={"weight": None, "split": None})
        rows = _Rows(root / self.query_file, settings._columns(space), settings, space)
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
        path: the table.
        columns: those that it must have.
        settings: what they mean.
        space: what labels are read; None: none are, nor anything else that only labelled pictures have.

    Raises:
        UserError: the file or a row of it is not as it must be.
    """

    def __init__(self, path: Path, columns: list[str], settings: TableSettings, space: LabelSpace | None) -> None:
        self.table = path
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
        self._words: dict[str, str] = {}
        self._read()

    def where(self, line: int) -> str:
        """How a row is called in an error."""
        return f"{self.table}, {cells.unit(self.table)} {line}"

    def _read(self) -> None:
        settings = self.settings
        tasks = [_Labels(task, settings.tasks.get(task.name)) for task in self.space.tasks] if self.space else []
        for line, row in cells.rows(self.table, self.columns):
            try:
                self.images.append(inside(cells.text(row[settings.path]), settings.path))
                for labels in tasks:
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
            self.groups.append(self._word(row, settings.group))
        if settings.id is not None:
            self.ids.append(self._word(row, settings.id))
        if settings.weight is not None:
            weight = cells.number(row, settings.weight)
            if not weight >= 0:
                raise UserError(f"{settings.weight}: must be a number of at least 0, found {row[settings.weight]!r}")
            self.weights.append(weight)
        if settings.split is not None:
            side = cells.text(row[settings.split])
            if side not in SIDES:
                raise UserError(f"{settings.split}: must be {' or '.join(SIDES)}, found {side!r}")
            self.sides.append(SIDES.index(side))

    def _word(self, row: Mapping[str, Any], column: str) -> str:
        """The text of a cell that must not be empty, kept once however many rows have it."""
        word = cells.text(row[column])
        if not word.strip():
            raise UserError(f"{column}: is empty")
        return self._words.setdefault(word, word)

    def _check_distinct(self) -> None:
        if len(set(self.images)) == len(self.images):
            return
        seen: dict[str, int] = {}
        for image, line in zip(self.images, self.lines, strict=True):
            if image in seen:
                first = f"{cells.unit(self.table)} {seen[image]}"
                raise UserError(f"{self.where(line)}: {self.settings.path} {image!r} stands in {first} too")
            seen[image] = line

    def samples(self, root: Path, space: LabelSpace) -> Samples:
        """The rows as samples of the label space that they were read with."""
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
                    f"{self.where(self.lines[row])}: group {group!r} is in {SIDES[side]!r} here and in "
                    f"{SIDES[self.sides[other]]!r} in {cells.unit(self.table)} {self.lines[other]}; "
                    "a group cannot be in both"
                )
        return np.array(self.sides, dtype=np.int64)


_MANY = 10_000
"""Distinct labels of one task that are remembered: a measured number may be another in every row."""


class _Labels:
    """Reads one task's cells, each distinct value once."""

    def __init__(self, task: Task, settings: ColumnSettings | None) -> None:
        settings = settings or ColumnSettings()
        self.task = task
        self.settings = settings
        self.column = settings.column or task.name
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
        if not word.strip():
            return MISSING, math.nan
        if not self.settings.indices:
            label = self.task.index(word)
            return label, float(word) if self.task.kind == "binned" else math.nan
        if not word.isdecimal() or int(word) >= self.task.num_classes:
            raise UserError(
                f"{self.column}: must be an index of {self.task.name}'s classes, from 0 to "
                f"{self.task.num_classes - 1}, found {word!r}"
            )
        return int(word), math.nan
