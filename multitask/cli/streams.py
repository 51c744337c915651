"""Standard streams that outlive their reader: a pipe that ``head`` has closed is no error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class Stream:
    """A text stream to which writing goes on after its reader has closed it; any other error names the stream.

    Args:
        stream: what it writes to.
        name: what errors call it.
        note: said on the error stream when the reader has left; "": nothing.
    """

    def __init__(self, stream: TextIO, name: str, note: str = "") -> None:
        self._stream = stream
        self._name = name
        self._note = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes text; nothing where the reader has closed the stream."""
        with self._tolerant():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flushes; nothing where the reader has closed the stream."""
        with self._tolerant():
            self._stream.flush()

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            # What is buffered, and all that follows, goes nowhere; it is no error when the process ends either.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            if self._note:
                print(self._note, file=sys.stderr)  # noqa: T201
        except OSError as error:  # of a full disk, which names no file
            raise OSError(error.errno, error.strerror, self._name) from None


@contextmanager
def lasting_streams(note: str) -> Iterator[None]:
    """Standard output and error as ``Stream``; those that were closed before the start lead nowhere.

    Args:
        note: said when the reader of the output has left.
    """
    before = sys.stdout, sys.stderr
    out, err = (open(os.devnull, "w") if stream is None else stream for stream in before)  # noqa: SIM115
    for stream in (out, err):
        if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a file's name may be what the terminal cannot show
    sys.stdout, sys.stderr = Stream(out, "standard output", note), Stream(err, "standard error")
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
