"""CSV: a line for each image."""

from __future__ import annotations

import csv
import io
from typing import IO

import numpy as np

from multitask.inference.outputs.base import Writer
from multitask.inference.outputs.rows import DIGITS, Column, RowLayout, Rows


class CsvWriter(Writer):
    """A header, and a line for each image; what is not known is an empty cell."""

    def __init__(self, file: IO[bytes], layout: RowLayout) -> None:
        super().__init__(file, layout)
        self._begun = False

    def write(self, rows: Rows) -> None:
        """Writes lines, the first time after the header."""
        columns = rows.columns(self._layout)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self._begun:
            writer.writerow(columns)
            self._begun = True
        writer.writerows(zip(*map(_cells, columns.values()), strict=True))
        self._file.write(text.getvalue().encode())


def _cells(values: Column) -> Column | list[str]:
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        return ["" if value != value else f"{value:.{DIGITS}g}" for value in values.tolist()]
    return values
