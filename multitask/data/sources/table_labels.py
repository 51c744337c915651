"""The labels in the cells of a table, read by task."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from multitask.data.sources import cells
from multitask.data.sources.table_settings import ColumnSettings
from multitask.errors import UserError
from multitask.labels import MISSING, Task
from multitask.utils.spelling import Spellings, canonical, missing_hint

_INDEX = re.compile(r"(\d+)(?:\.0*)?", re.ASCII)
"""As pandas writes it, too, where a cell of the column is empty: 1.0."""
_TRUTH = {"false": 0, "true": 1}

_MANY = 10_000
"""Distinct labels of one task that are remembered: a measured number may be another in every row."""


class LabelReader:
    """Reads the cells of one task, with a memory of the distinct values."""

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
