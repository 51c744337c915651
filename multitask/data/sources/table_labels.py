"""The labels in the cells of a table, read by task."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from multitask.data.samples import narrowest
from multitask.data.sources import cells
from multitask.data.sources.columns import Faults, as_numbers, is_numeric, plain_numbers, read_each, texts, to_numbers
from multitask.data.sources.table_settings import ColumnSettings
from multitask.errors import UserError
from multitask.labels import MISSING, Task
from multitask.utils.spelling import MAX_NUMBER, Spellings, canonical, missing_hint
from multitask.utils.texts import Codes

if TYPE_CHECKING:
    import pyarrow as pa

_INDEX = re.compile(r"(\d+)(?:\.0*)?", re.ASCII)
"""As pandas writes it, too, where a cell of the column is empty: 1.0."""
_TRUTH = {"false": 0, "true": 1}

_MANY = 10_000
"""Distinct labels of one task that are remembered: a measured number may be another in every row."""


class LabelReader:
    """Reads the labels and numbers of one task, with a memory of the distinct ones."""

    def __init__(self, task: Task, settings: ColumnSettings | None, table: str) -> None:
        settings = settings or ColumnSettings()
        self.task = task
        self.settings = settings
        self.column = settings.column or task.name
        self.spellings = Spellings(f"{table}, {self.column}", task.classes)
        self._known: dict[str, tuple[int, float]] = {}

    def read(self, row: Mapping[str, Any]) -> tuple[int, float]:
        """Label and number of a row; ``MISSING`` and NaN where it has none."""
        known = self._cell(row[self.column])
        return known if self.settings.number is None else (known[0], cells.number(row, self.settings.number))

    def _cell(self, value: object) -> tuple[int, float]:
        word = cells.text(value)
        known = self._known.get(word)
        if known is None:
            known = self._read(word)
            if len(self._known) < _MANY:
                self._known[word] = known
        return known

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


class LabelColumn(LabelReader):
    """Reads the labels and numbers of one task, a part of the table at a time.

    Attributes:
        labels: of each part.
        numbers: likewise; none where the task has no numbers.
    """

    def __init__(self, task: Task, settings: ColumnSettings | None, table: str) -> None:
        super().__init__(task, settings, table)
        self.labels: list[Codes] = []
        self.numbers: list[NDArray[np.floating[Any]]] = []

    def read_part(self, columns: Mapping[str, pa.Array], faults: Faults) -> None:
        """Appends a part: ``MISSING`` and NaN where a row has none."""
        column = columns[self.column]
        binned = self.task.kind == "binned" and not self.settings.indices
        if binned and is_numeric(column):
            labels, numbers = self._bins(column, faults)
        elif binned:
            labels, numbers = self._spelt_bins(texts(column), faults)
        else:
            labels, numbers = self._each(column, faults)
        self.labels.append(labels.astype(np.min_scalar_type(-self.task.num_classes)))
        if self.settings.number is not None:
            numbers = as_numbers(columns, self.settings.number, faults)
        if binned or self.settings.number is not None:
            self.numbers.append(narrowest(numbers))

    def _each(self, column: pa.Array, faults: Faults) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        codes, found = read_each(column, self._cell, (MISSING, math.nan), faults)
        labels = np.array([label for label, _ in found], dtype=np.int64)[codes]
        return labels, np.array([number for _, number in found], dtype=np.float64)[codes]

    def _spelt_bins(self, words: pa.Array, faults: Faults) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """As ``_each``, of texts that mostly spell numbers: a measured one may be another in every row."""
        numbers, plain = plain_numbers(words)
        good = ~plain | ((numbers >= self.task.lowest) & (numbers <= self.task.highest))
        faults.look(good, lambda row: self._read(words[row].as_py()))
        labels = np.searchsorted(self.task.edges, numbers, side="right")
        rest = np.flatnonzero(~plain)
        if len(rest):
            others = Faults()
            labels, numbers = labels.copy(), numbers.copy()
            labels[rest], numbers[rest] = self._each(words.take(rest), others)
            if others.error is not None:
                faults.add(int(rest[others.row]), others.error)
        return labels, numbers

    def _bins(self, column: pa.Array, faults: Faults) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """What ``_read`` makes of the texts of numbers."""
        numbers = to_numbers(column)
        known = ~np.isnan(numbers)
        with np.errstate(invalid="ignore"):
            good = (np.abs(numbers) <= MAX_NUMBER) & (numbers >= self.task.lowest) & (numbers <= self.task.highest)
        faults.look(good | ~known, lambda row: self._read(cells.text(column[row].as_py())))
        return np.where(known, np.searchsorted(self.task.edges, numbers, side="right"), MISSING), numbers
