"""A list of paths, in a file or from standard input."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from multitask.errors import UserError
from multitask.inference.inputs.base import InputKind, InputOptions
from multitask.inference.stream import ImageInput
from multitask.utils.files import check_regular
from multitask.utils.spelling import find_file

STDIN = "-"
SUFFIXES = (".txt", ".lst", ".list")
_MAX_LINE_BYTES = 65_536


class PathList(InputKind):
    """A path in each line, relative to the current folder, as ``find`` writes them; standard input as it comes."""

    def __init__(self, path: str, options: InputOptions) -> None:
        super().__init__(path, options)
        self._where = "standard input" if path == STDIN else path
        self._incoming: Iterator[str] = iter(())
        self._first: str | None = None
        if path != STDIN:
            self.count = sum(1 for _ in self._file_lines())
        elif sys.stdin is not None:
            self._incoming = self._lines(sys.stdin.buffer)
            self._first = next(self._incoming, None)
        if not self.count and self._first is None:
            raise UserError(f"{self._where}: holds no paths; one is expected in each line")

    @classmethod
    def fits(cls, path: str) -> bool:
        """``-``, or by its suffix."""
        return path == STDIN or Path(path).suffix.lower() in SUFFIXES

    def __iter__(self) -> Iterator[ImageInput]:
        for line in self._file_lines() if self.path != STDIN else self._stdin_lines():
            yield ImageInput(line, find_file(Path(), line))

    def _stdin_lines(self) -> Iterator[str]:
        """What is left of standard input, which can be read once."""
        first, self._first = self._first, None
        return chain([] if first is None else [first], self._incoming)

    def _file_lines(self) -> Iterator[str]:
        path = Path(self.path)
        check_regular(path)
        try:
            with path.open("rb") as file:
                yield from self._lines(file)
        except FileNotFoundError:
            raise UserError(f"{path}: no such file") from None
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from None

    def _lines(self, file: BinaryIO) -> Iterator[str]:
        """The lines that are not empty.

        Raises:
            UserError: one is no UTF-8 text, or none that could be a path.
        """
        number = 0
        while line := file.readline(_MAX_LINE_BYTES):
            number += 1
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            where = f"{self._where}, line {number}"
            if b"\0" in line:
                raise UserError(f"{where}: holds a zero byte, and so is no path; one is expected in each line")
            if len(line) == _MAX_LINE_BYTES and not line.endswith(b"\n"):
                raise UserError(f"{where}: has more than {_MAX_LINE_BYTES:,} bytes, and so is no path")
            try:
                text = line.decode().rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{where}: is no UTF-8 text (byte 0x{line[error.start]:02x}); a list is UTF-8, a path in each line"
                ) from None
            if text and not text.isspace():
                yield text
