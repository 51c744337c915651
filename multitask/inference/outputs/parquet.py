"""Parquet: a table with a row for each image."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import numpy as np

from multitask.inference.outputs.base import Writer
from multitask.inference.outputs.rows import Column, RowLayout, Rows

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_MAX_CELLS = 1 << 20
"""Of a row group; a group of a batch's size would be slow to read."""


class ParquetWriter(Writer):
    """The columns of a CSV file, numbers in full; what is not known is null."""

    def __init__(self, file: IO[bytes], layout: RowLayout) -> None:
        super().__init__(file, layout)
        self._opened: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []

    def write(self, rows: Rows) -> None:
        """Keeps rows until there are enough for a group of them."""
        self._waiting.append(_table(rows.columns(self._layout)))
        if sum(table.num_rows for table in self._waiting) * self._waiting[0].num_columns >= _MAX_CELLS:
            self._flush()

    def finish(self) -> None:
        """Writes the last group, and the table's directory."""
        self._flush()
        if self._opened is not None:
            self._opened.close()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._waiting:
            return
        table = pa.concat_tables(self._waiting)
        self._waiting.clear()
        if self._opened is None:
            self._opened = pq.ParquetWriter(self._file, table.schema)
        self._opened.write_table(table)


def _table(columns: dict[str, Column]) -> pa.Table:
    import pyarrow as pa

    arrays = {
        name: pa.array(values, from_pandas=True)  # NaN is null
        if isinstance(values, np.ndarray)
        else pa.array(values, pa.string())
        for name, values in columns.items()
    }
    return pa.table(arrays)
