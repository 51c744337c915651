"""Arrays shared between processes: made once, in files that every process maps into its memory."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import shutil
import tempfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from multitask.errors import UserError
from multitask.utils.files import is_at, parts, remove_parts, replacing, size_text
from multitask.utils.in_turn import in_turn
from multitask.utils.ranks import Ranks

_CHECKSUM_BYTES = 4


def kept(
    path: Path,
    num_rows: int,
    make: Callable[[], Iterator[NDArray[Any]]],
    on_damaged: Callable[[], None] | None = None,
) -> NDArray[Any]:
    """The array in a file, which is made first if it is not there, or damaged.

    Of several processes that ask for it at once one makes it and the others wait. The file is there whole or not at
    all, whenever its maker may be killed. Its name must say what is in it: one that is there is never made again.

    Args:
        path: the file: an array in NumPy's format, and a checksum behind it.
        num_rows: N.
        make: gives the rows in order, some at a time: (n, ...), all alike but for n. What it raises is passed on, and
            nothing is kept.
        on_damaged: called if there is such a file, but damaged, before it is made again.

    Returns:
        (N, ...), mapped from the file; not to be written to.

    Raises:
        OSError: the disk is full.
        UserError: the folder cannot be written to.
    """
    found = _mapped(path)
    if found is None:
        make_folder(path.parent)
        with _locked(path.with_suffix(".lock")):
            found = _mapped(path)  # somebody else may have made it meanwhile
            if found is None:
                if path.exists() and on_damaged is not None:
                    on_damaged()
                remove_parts(path)
                _write(path, num_rows, make())
                found = _mapped(path)
    assert found is not None, f"{path} was changed as soon as it was written"
    assert len(found) == num_rows, f"{path} holds {len(found)} rows, not {num_rows}"
    return found


def kept_together(
    path: Path,
    num_rows: int,
    make: Callable[[Ranks], Iterator[NDArray[Any]]],
    here: Ranks,
    on_done: Callable[[int], None],
    on_write: Callable[[], None] | None = None,
    on_damaged: Callable[[], None] | None = None,
) -> NDArray[Any]:
    """As ``kept``, made by all processes of a launch, each of which makes some of the pieces; all of them call it.

    On each machine one writes the file. Where processes name it otherwise, each makes its own.

    Args:
        path: the file.
        num_rows: N.
        make: gives the pieces in order, of a process those at its rank, rank + size, and so on.
        here: the place of this process.
        on_done: called with the number of rows of each piece that comes here, whoever made it: by who writes at least.
        on_write: called by who writes, in the folder that is there, before anything is made; a ``UserError`` of it is
            raised by all.
        on_damaged: as of ``kept``.
    """

    def pieces(who: Ranks, *, writes: bool, everywhere: bool = False) -> Iterator[NDArray[Any]]:
        own = _after(on_write, make(who)) if writes and on_write is not None else make(who)
        for rows in in_turn(own, who, everywhere=everywhere, most=8):  # a piece may be of megabytes
            on_done(len(rows))
            yield rows

    def alone() -> NDArray[Any]:
        return kept(path, num_rows, lambda: pieces(Ranks(), writes=True), on_damaged)

    found = here.gather(lambda: (path.name, here.size > 1 and _mapped(path) is None, here.local_rank == 0))
    if here.size == 1 or len({name for name, _, _ in found}) > 1:
        return alone()
    if any(missing for _, missing, _ in found):
        everywhere = any(may_write for _, _, may_write in found[1:])  # there are machines without rank 0
        shared = pieces(here, writes=False, everywhere=everywhere)
        if here.local_rank == 0:
            make_folder(path.parent)
            # Without waiting: who has the lock may be one of these, on another machine with the same disk.
            with suppress(BlockingIOError), _locked(path.with_suffix(".lock"), wait=False):
                if _mapped(path) is None:
                    if path.exists() and on_damaged is not None:
                        on_damaged()
                    remove_parts(path)
                    shared = pieces(here, writes=True, everywhere=everywhere)
                    _write(path, num_rows, shared)
        deque(shared, maxlen=0)  # its part, where another writes or it was there already
        here.gather(lambda: None)  # written
    return alone()


def _after(first: Callable[[], None], rows: Iterator[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    first()
    yield from rows


def check_room(path: Path, num_bytes: int) -> None:
    """Checks that the disk has room for a file of so many bytes in a folder that is there.

    Raises:
        UserError: it does not.
    """
    free = shutil.disk_usage(path.parent).free
    if num_bytes > free:
        raise UserError(f"{path}: takes {size_text(num_bytes)}, but its disk has {size_text(free)} left")


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
def _locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Holds a lock, which is released when its holder ends.

    Raises:
        BlockingIOError: another process holds it, and ``wait`` is False.
    """
    while True:
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            try:
                if is_at(path, os.fstat(file.fileno())):
                    yield
                    return
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)  # also for a child process that was forked meanwhile


# --- folders of arrays ------------------------------------------------------------------------------------------

KINDS = ("pixels", "boxes", "features", "shards")
"""What the names of kept arrays begin with; a key of 32 digits follows."""
_KEY = "[0-9a-f]" * 32


def default_folder() -> Path:
    """Where arrays are kept for other runs, unless a config says where.

    Outside of every run's folder, since runs share them, and of the data's, which may be read-only: the place that
    the XDG Base Directory Specification has for what can be made again. Who has no home, as a number that a container
    runs under has none, has a folder of that number among the temporary files.
    """
    home = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(home):  # the specification has it that a relative path is to be ignored
        return Path(home) / "multitask"
    user = os.path.expanduser("~")  # which is left as it stands where nobody knows better
    if os.path.isabs(user):
        return Path(user) / ".cache" / "multitask"
    return Path(tempfile.gettempdir()) / f"multitask-{os.getuid()}"


def make_folder(
    folder: Path, elsewhere: str = "data.cache_dir names another folder, XDG_CACHE_HOME one for all"
) -> None:
    """Makes a folder for what is kept for other runs, unless it is there.

    Args:
        folder: which whoever runs this may never have named.
        elsewhere: how to have another.

    Raises:
        UserError: it cannot be made, or not be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK) else os.strerror(errno.EACCES)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    if reason:
        raise UserError(f"{folder}: cannot be written to ({reason}), and keeps what other runs take again; {elsewhere}")


@dataclass(frozen=True)
class KeptFile:
    """An array file in the cache.

    Attributes:
        path: its file.
        kind: one of ``KINDS``.
        shape: (N, ...); None where the file is damaged at its head.
        num_bytes: the file's size.
        made: when, in seconds since 1970.
    """

    path: Path
    kind: str
    shape: tuple[int, ...] | None
    num_bytes: int
    made: float


def kept_files(folder: Path) -> list[KeptFile]:
    """The arrays in a folder, the newest first; none where there is no folder."""
    found = []
    for kind in KINDS:
        for path in folder.glob(f"{kind}-{_KEY}.npy"):
            try:
                state = path.stat()
                with path.open("rb") as file:
                    header = io.BytesIO(file.read(1 << 10))
            except FileNotFoundError:  # somebody clears the folder at this moment
                continue
            try:
                npy.read_magic(header)
                shape = npy.read_array_header_1_0(header)[0]
            except ValueError:
                shape = None
            found.append(KeptFile(path, kind, shape, state.st_size, state.st_mtime))
    return sorted(found, key=lambda file: (-file.made, file.path))


def clear(folder: Path) -> tuple[int, list[Path]]:
    """Removes the arrays in a folder, what killed makers left of them, and nothing else.

    A run that has one mapped goes on with it. One that is just being made is left alone.

    Returns:
        How many bytes were freed, and the arrays that are being made.
    """
    freed, busy = 0, []
    for kind in KINDS:
        names = {
            path.with_suffix(".npy") for suffix in ("npy", "lock") for path in folder.glob(f"{kind}-{_KEY}.{suffix}")
        }
        for path in sorted(names):
            lock = path.with_suffix(".lock")
            try:
                with _locked(lock, wait=False):
                    for file in [path, *parts(path)]:
                        freed += file.stat().st_size if file.exists() else 0
                        file.unlink(missing_ok=True)
                    lock.unlink()
            except BlockingIOError:
                busy.append(path)
    return freed, busy
