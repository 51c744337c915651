"""A table with a path column."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from multitask.data.sources import cells
from multitask.data.sources.csv_file import MissingColumnError, find_delimiter
from multitask.data.sources.table import FILES
from multitask.data.sources.table_rows import MISSING_GROUPS
from multitask.errors import UserError
from multitask.inference.inputs.base import InputKind, InputOptions
from multitask.inference.stream import ImageInput
from multitask.utils.spelling import canonical, find_file


class ImageTable(InputKind):
    """The rows of a CSV or Parquet file, in its order; paths are relative to its folder, and are the images' names."""

    tabular = True

    def __init__(self, path: str, options: InputOptions) -> None:
        super().__init__(path, options)
        self._table = Path(path)
        self._path = canonical(options.path_column)
        self._group = None if options.group_column is None else canonical(options.group_column)
        self._box = tuple(canonical(column) for column in options.box_columns or ())
        self._columns = [self._path, *([] if self._group is None else [self._group]), *self._box]
        self._delimiter = "," if self._table.suffix.lower() == ".parquet" else find_delimiter(self._table, self._path)
        # Read twice: what is wrong with its last row is said before hours of work, and not after them.
        try:
            self.count = sum(1 for _ in self._inputs(look=False))
        except MissingColumnError as error:
            option = {self._path: "--path-column", self._group: "--group-column"}.get(error.column, "--box-columns")
            raise UserError(f"{error}; {option} says which is meant") from None
        if not self.count:
            raise UserError(f"{path}: holds no rows")

    @classmethod
    def fits(cls, path: str) -> bool:
        """By its suffix."""
        return path.lower().endswith(FILES)

    def __iter__(self) -> Iterator[ImageInput]:
        return self._inputs(look=True)

    def _inputs(self, look: bool) -> Iterator[ImageInput]:
        """The rows' images.

        Args:
            look: whether to look for files that are spelt a little otherwise.
        """
        for number, row in cells.rows(self._table, self._columns, self._delimiter, "utf-8"):
            name, box, unreadable = cells.text(row[self._path]), None, None
            try:
                if not name.strip():
                    raise UserError(f"{self._path}: is empty")
                box = np.array(cells.box(row, self._box)) if self._box else None
            except UserError as error:
                unreadable = UserError(f"{self._table}, {cells.unit(self._table)} {number}: {error}")
                if not self.options.skip_unreadable:
                    raise unreadable from None
            yield ImageInput(name, self._file(name) if look else Path(name), box, self._group_of(row), unreadable)

    def _file(self, name: str) -> Path:
        """An image's file: with the slashes of Windows, too, unless a file is really called so."""
        folder = self._table.parent
        if "\\" in name and not os.path.lexists(folder / name):
            name = name.replace("\\", "/")
        return find_file(folder, name)

    def _group_of(self, row: Mapping[str, Any]) -> str | None:
        if self._group is None:
            return None
        group = canonical(cells.text(row[self._group]))
        return None if not group or group in MISSING_GROUPS else group
