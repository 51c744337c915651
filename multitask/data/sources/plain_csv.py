"""Parts of a CSV file that quote nothing, split by Arrow in a fraction of the standard library's time."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 1 << 20
"""Bytes that are read at a time, and to the end of the line."""
_UNSURE = rb"[\s%b\x1c-\x1f]|\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2[\x80\x81]|\xe3\x80\x80"
"""What a row of nothing but spaces, which is passed over, may begin with: a delimiter, or a space of Unicode's."""


class PlainParts:
    """The parts of a CSV file from its first row to the first block of which Arrow may make something else.

    Iterated, it gives the number of the first row's line and the columns of each part.

    Args:
        path: the file.
        encoding: of its text; only of UTF-8 there are such parts.
        delimiter: what stands between cells.
        num_lines: how many lines stand before the first row.
        num_columns: of the table.
        places: of the columns to be read among them.

    Attributes:
        offset: in bytes, where the rows begin that are left to the standard library's reader.
        num_lines: how many lines stand before these.
    """

    def __init__(
        self, path: Path, encoding: str, delimiter: str, num_lines: int, num_columns: int, places: Sequence[int]
    ) -> None:
        self._path = path
        self._is_utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
        self._delimiter = delimiter
        self._names = [str(place) for place in range(num_columns)]
        self._wanted = [str(place) for place in places]
        self._unsure = re.compile(rb"\n(?:" + _UNSURE.replace(b"%b", re.escape(delimiter.encode())) + rb")")
        self.num_lines = num_lines
        self.offset = 0

    def __iter__(self) -> Iterator[tuple[int, list[pa.Array]]]:
        with self._path.open("rb") as file:
            head = b"".join(file.readline() for _ in range(self.num_lines))
            self.offset = file.tell()
            if not self._is_utf8 or b"\r" in head.replace(b"\r\n", b""):
                return
            while block := file.read(_BLOCK) + file.readline():
                columns = self._split(block)
                if columns is None:
                    return
                yield self.num_lines + 1, columns
                self.num_lines += len(columns[0])
                self.offset += len(block)

    def _split(self, block: bytes) -> list[pa.Array] | None:
        """The cells of whole lines, by column; None where the standard library's reader must say what they are."""
        import pyarrow as pa
        import pyarrow.csv as arrow_csv

        block = block.replace(b"\r\n", b"\n")
        if any(sign in block for sign in (b'"', b"\r", b"\0")) or self._unsure.search(b"\n" + block):
            return None
        ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("\n"))
        if np.diff(ends, prepend=-1, append=len(block)).max() > csv.field_size_limit():
            return None
        try:
            if not block.isascii():
                block.decode()
            table = arrow_csv.read_csv(
                pa.BufferReader(block),
                arrow_csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=self._names),
                arrow_csv.ParseOptions(
                    delimiter=self._delimiter, quote_char=False, double_quote=False, escape_char=False
                ),
                arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(self._names, pa.large_string()),
                    strings_can_be_null=False,
                    include_columns=list(dict.fromkeys(self._wanted)),
                ),
            )
        except (UnicodeDecodeError, pa.ArrowInvalid):  # of a row with too few cells, or too many
            return None
        return [table.column(name).combine_chunks() for name in self._wanted]
