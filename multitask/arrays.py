"""Arrays that are made once and shared: kept in a file that every process maps into its memory."""

from __future__ import annotations

import fcntl
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from multitask.files import remove_parts, replacing

_CHECKSUM_BYTES = 4


def kept(path: Path, num_rows: int, make: Callable[[], Iterator[NDArray[Any]]]) -> NDArray[Any]:
    """The array in a file, which is made first if it is not there, or damaged.

    Of several processes that ask for it at once one makes it and the others wait. The file is there whole or not at
    all, whenever its maker may be killed. Its name must say what is in it: one that is there is never made again.

    Args:
        path: the file: an array in NumPy's format, and a checksum behind it.
        num_rows: N.
        make: gives the rows in order, some at a time: (n, ...), all alike but for n. What it raises is passed on, and
            nothing is kept.

    Returns:
        (N, ...), mapped from the file; not to be written to.

    Raises:
        OSError: the disk is full, or the folder cannot be written to.
    """
    found = _mapped(path)
    if found is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_suffix(".lock")):
            found = _mapped(path)  # somebody else may have made it meanwhile
            if found is None:
                remove_parts(path)
                _write(path, num_rows, make())
                found = _mapped(path)
    assert found is not None, f"{path} was changed as soon as it was written"
    assert len(found) == num_rows, f"{path} holds {len(found)} rows, not {num_rows}"
    return found


def _write(path: Path, num_rows: int, chunks: Iterator[NDArray[Any]]) -> None:
    done = checksum = 0
    with replacing(path) as file:
        for rows in chunks:
            if not done:
                header = io.BytesIO()
                shape = (num_rows, *rows.shape[1:])
                described = {"descr": npy.dtype_to_descr(rows.dtype), "fortran_order": False, "shape": shape}
                npy.write_array_header_1_0(header, described)
                file.write(header.getvalue())
                checksum = zlib.crc32(header.getvalue())
            data = np.ascontiguousarray(rows).data
            file.write(data)
            checksum = zlib.crc32(data, checksum)
            done += len(rows)
        assert done == num_rows, f"{done} rows were made of {num_rows}"
        file.write(checksum.to_bytes(_CHECKSUM_BYTES, "little"))


def _mapped(path: Path) -> NDArray[Any] | None:
    """The array in a file; None where there is no such file, or not all of it as it was written."""
    try:
        # Not as a memmap from here on, which makes every row of it slow to take.
        data = np.asarray(np.memmap(path, mode="r"))
    except (FileNotFoundError, ValueError):  # ValueError: it is empty
        return None
    content, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if zlib.crc32(content.data) != int.from_bytes(checksum.tobytes(), "little"):
        return None
    header = io.BytesIO(content[: 1 << 16].tobytes())
    try:
        npy.read_magic(header)
        shape, _, dtype = npy.read_array_header_1_0(header)
        return content[header.tell() :].view(dtype).reshape(shape)
    except ValueError:  # not by chance: nothing, for one, has the checksum of nothing
        return None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds a lock, which is gone when its holder is; the file stays, or two could hold locks of one name."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # also for a child process that was forked meanwhile
