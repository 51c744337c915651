"""The words of rows that are read one after the other, as columns."""

from __future__ import annotations

from collections.abc import Mapping


class RowWords:
    """Columns that grow by a row at a time, of which not each need say something in each column.

    Attributes:
        columns: by name, a word for each row; empty: it says nothing of it.
        partial: the columns that some rows lack altogether.
    """

    def __init__(self) -> None:
        self.columns: dict[str, list[str]] = {}
        self.partial: set[str] = set()
        self._num = 0
        self._shared: dict[str, str] = {}

    def add(self, words: Mapping[str, str]) -> None:
        """Appends a row."""
        for column in words:
            if column not in self.columns:
                self.columns[column] = [""] * self._num
                if self._num:
                    self.partial.add(column)
        for column, values in self.columns.items():
            word = words.get(column)
            if word is None:
                self.partial.add(column)
            values.append(self._shared.setdefault(word, word) if word else "")
        self._num += 1
