"""Files that are written whole or not at all, digests, and locks."""

from __future__ import annotations

import csv
import fcntl
import glob
import hashlib
import io
import json
import math
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from multitask.errors import UserError

_PART = ".part"
_ADDRESS = re.compile(r"(?:^|/)(?:https?|ftp|s3|gs|hdfs|file):/", re.IGNORECASE)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file in one step: whoever reads it, now or after a crash, sees the old content or the new.

    Raises:
        OSError: the disk is full, or the folder cannot be written to; the old file stands.
    """
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to piece by piece; at the end, if all went well, it takes the place of ``path`` in one step.

    Raises:
        OSError: the disk is full, or the folder cannot be written to; the old file stands.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_PART)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    part = _Part(Path(temporary))
    try:
        with part, part:  # twice: Ctrl-C may come just as the inner one, after another error, is to remove it
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
    except OSError as error:
        if error.filename not in (None, temporary):
            raise  # of another file, which was to be read meanwhile
        raise OSError(error.errno, error.strerror, str(path)) from None  # a full disk's own error names no file
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name, too, must outlive a crash
    finally:
        os.close(folder)


class _Part:
    """A file that is removed where the context ends in an error."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is not None:
            self._path.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Adds the file's name to an ``OSError`` without one, as when the disk fills up while a file is written."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


def is_part(path: Path) -> bool:
    """Whether a file is what ``write_atomically`` leaves when it is killed."""
    return path.name.startswith(".") and path.suffix == _PART


def parts(path: Path) -> list[Path]:
    """What writers of ``path`` are writing, or left when they were killed."""
    return list(path.parent.glob(f".{glob.escape(path.name)}.*{_PART}"))


def remove_parts(path: Path) -> None:
    """Removes what killed writers of ``path`` left; only for who knows that nobody else is writing it."""
    for part in parts(path):
        part.unlink(missing_ok=True)


_NO_FILES = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def absent(path: str | os.PathLike[str], what: str = "no such file") -> UserError:
    """The error of a path at which there is nothing, or of an address, which is never fetched.

    Args:
        path: as the user gave it, or within a root.
        what: is said of it.
    """
    given = os.fspath(path)
    address = "; addresses are not fetched: download what they lead to" if _ADDRESS.search(given) else ""
    return UserError(f"{given}: {what}{address}")


def check_regular(path: Path, key: str = "") -> None:
    """Refuses a path at which there is something other than a file: reading a pipe or a device may never end.

    Args:
        path: the file's.
        key: the setting that names it, for the error.

    Raises:
        UserError: there is.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return  # why, whoever opens it is told
    for is_kind, what in _NO_FILES:
        if is_kind(mode):
            raise UserError(f"{key and key + ': '}{path}: must be a file, found {what}")


def remove_all_parts(folder: Path) -> None:
    """Removes what killed writers left in a folder and below; only for who knows that nobody writes there."""
    for path in folder.rglob(f".*{_PART}"):
        path.unlink(missing_ok=True)


_CONTENTS: dict[Path, tuple[tuple[int, ...], bytes]] = {}
"""What files looked like when they were digested, and their digests: a study's runs read the same ones again."""
_MAX_CONTENTS = 200_000
"""How many are remembered, in some 150 MB; the files of larger sets are read again."""
_SETTLED_S = 2.0
"""A file that changed less than so long ago may change again without a trace, since file systems' clocks are coarse."""


DIGEST_BYTES = 16
"""Of ``bytes_digest``."""


def bytes_digest(content: bytes) -> bytes:
    """(16 bytes) The BLAKE2b digest of a content, by which images are known again."""
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


def json_digest(value: Any, digest_size: int = 8) -> str:
    """A digest of what JSON can hold, whatever order keys stand in, as two hexadecimal digits for each byte."""
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=digest_size).hexdigest()


def content_digest(path: Path) -> bytes:
    """A digest of a file's content, which is read anew whenever the file may have changed.

    Of a file in a tar it is that of the content when the tar was read.

    Raises:
        UserError: it cannot be read.
    """
    from multitask.utils.tar_files import member_digest  # which reads regular files, too

    if (of_member := member_digest(path)) is not None:
        return of_member
    check_regular(path)
    try:
        with path.open("rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            seen = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            known = _CONTENTS.get(path)
            if known is not None and known[0] == seen:
                return known[1]
            began = time.time()
            digest = bytes_digest(file.read())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if found.st_ctime + _SETTLED_S < began and len(_CONTENTS) < _MAX_CONTENTS:
        _CONTENTS[path] = seen, digest
    return digest


_HELD: set[int] = set()
"""The handles of what this process holds: a forked child lets go, or it would hold on when its parent is gone."""


def _let_go() -> None:
    for handle in _HELD:
        os.close(handle)
    _HELD.clear()


os.register_at_fork(after_in_child=_let_go)


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Locks a file against other processes on this machine, made if it does not exist; released when the holder ends.

    Who holds it may remove it, and its folder: whoever opened the file before that, and locks it after, begins anew.

    Yields:
        Whether the lock was taken: False if another process holds it.
    """
    while True:
        handle = _opened(path)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            if is_at(path, os.fstat(handle)):
                _HELD.add(handle)
                yield True
                return
        finally:
            _HELD.discard(handle)
            os.close(handle)


def _opened(path: Path) -> int:
    """The handle of a lock's file."""
    try:
        with suppress(FileNotFoundError):
            return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        path.parent.mkdir(parents=True, exist_ok=True)  # who held the lock last removed the folder as well
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:  # of a folder that others own; the lock's hidden name says nothing
        raise OSError(error.errno, error.strerror, str(path.parent)) from None


def is_at(path: Path, file: os.stat_result) -> bool:
    """Whether an opened file is still the one of its name: a lock on one that was removed is worth nothing."""
    try:
        return os.path.samestat(path.stat(), file)
    except FileNotFoundError:
        return False


def size_text(num_bytes: int) -> str:
    """A size with its unit, as ``1.2 GB``."""
    size = float(num_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def plain(value: Any) -> Any:
    """``value`` as strict JSON can hold it: NaN and infinities become None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def to_json(value: Any, indent: int | None = 2) -> str:
    """``value`` as strict JSON with a line's end."""
    return json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False) + "\n"


def csv_text(header: Sequence[object], rows: Iterable[Iterable[Any]]) -> str:
    """A table as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def write_csv(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    """Writes a table, its header first, as CSV: row by row, since there may be millions, and in one step.

    Raises:
        OSError: as of ``replacing``.
    """
    with replacing(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        text.detach()  # written, and left open
