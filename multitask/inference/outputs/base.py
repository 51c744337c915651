"""Formats of outputs: a file of predictions, written as they come."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from multitask.errors import UserError
from multitask.inference.outputs.rows import RowLayout, Rows
from multitask.utils.files import replacing


class Writer(ABC):
    """Writes rows to a file; between batches it holds no more than a few thousand.

    Args:
        file: to be written to.
        layout: of the rows.
    """

    def __init__(self, file: IO[bytes], layout: RowLayout) -> None:
        self._file = file
        self._layout = layout

    @abstractmethod
    def write(self, rows: Rows) -> None:
        """Writes some rows; at least one in all."""

    def finish(self) -> None:  # noqa: B027  # most formats end with their last row
        """Writes what must stand at the end."""


WRITERS: dict[str, type[Writer]] = {}
"""The table of formats, by suffix; its rows stand in the package's ``__init__``."""


def writer_of(path: Path) -> type[Writer]:
    """The format of an output, by its suffix.

    Raises:
        UserError: there is none, or the file cannot be there.
    """
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        found = repr(path.suffix) if path.suffix else "no suffix"
        raise UserError(f"{path}: must end in {', '.join(WRITERS)}, found {found}")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}")
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: is no file, and cannot be replaced")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"{path}: the folder {path.parent} cannot be written to")
    return writer


@contextmanager
def open_writer(path: Path, layout: RowLayout) -> Iterator[Writer]:
    """What writes an output; the file is there when all went well, and else as it was.

    Raises:
        UserError: as of ``writer_of``.
        OSError: the disk is full, or the folder cannot be written to.
    """
    writer = writer_of(path)
    with replacing(path) as file:
        opened = writer(file, layout)
        yield opened
        opened.finish()
