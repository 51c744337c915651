"""JSON: an object for each image, in a list or in lines."""

from __future__ import annotations

import json
from typing import IO

from multitask.inference.outputs.base import Writer
from multitask.inference.outputs.rows import RowLayout, Rows


class JsonLinesWriter(Writer):
    """A line with an object for each image."""

    def write(self, rows: Rows) -> None:
        """Writes lines."""
        self._file.writelines(f"{text}\n".encode() for text in _texts(rows, self._layout))


class JsonWriter(Writer):
    """A list with an object for each image, each in a line of its own."""

    def __init__(self, file: IO[bytes], layout: RowLayout) -> None:
        super().__init__(file, layout)
        self._before = "[\n"

    def write(self, rows: Rows) -> None:
        """Writes items of the list."""
        for text in _texts(rows, self._layout):
            self._file.write(f"{self._before}{text}".encode())
            self._before = ",\n"

    def finish(self) -> None:
        """Closes the list."""
        self._file.write(b"\n]\n")


def _texts(rows: Rows, layout: RowLayout) -> list[str]:
    return [json.dumps(item, ensure_ascii=False, allow_nan=False) for item in rows.objects(layout)]
