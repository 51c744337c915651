"""Files in tar archives, read at their place: ``shard.tar/name`` is a member, as if the tar were a folder."""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from multitask.errors import UserError
from multitask.utils.files import DIGEST_BYTES, bytes_digest, check_regular

_BLOCK = 512
_AHEAD = 4 << 20
"""Bytes that the kernel is asked to read beforehand: images served nearly in their order lie near each other."""
_MAX_OPEN = 64
_SHARD = re.compile(r"\.tar(?=/)")
IN_TAR = ".tar/"
"""What every path into a tar has in it."""

Stamp = tuple[int, int, int]
"""Size, time of the last change and inode of a file: with others it is another file."""


class DamagedTarError(UserError):
    """A tar file cannot be read to its end."""


@dataclass(frozen=True)
class Member:
    """A file in a tar: its name, and where its content begins and how long it is, in bytes."""

    name: str
    offset: int
    size: int


def stamp_of(path: Path) -> Stamp:
    """What a tar file looks like now.

    Raises:
        UserError: there is none.
    """
    check_regular(path)
    try:
        return _stamp(os.stat(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_size, found.st_mtime_ns, found.st_ino


def walk(path: Path) -> Iterator[tuple[Member, bytes]]:
    """The files in a tar with their content, in its order; folders and links are passed over.

    Raises:
        DamagedTarError: it is no tar file, or cut, or a header in it is damaged: ``tarfile`` would end there without
            a word.
        UserError: it cannot be read, or is compressed, so that nothing in it has a place.
    """
    try:
        with path.open("rb", buffering=1 << 20) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                if not member.isfile():
                    continue
                if member.issparse():
                    raise DamagedTarError(f"{path}: {member.name} is stored as a sparse file, which is not read")
                file.seek(member.offset_data)
                data = file.read(member.size)
                if len(data) < member.size:
                    raise DamagedTarError(f"{path}: is cut within {member.name}")
                yield Member(member.name.removeprefix("./"), member.offset_data, member.size), data
            _check_end(path, file, tar.offset)
    except tarfile.TarError as error:
        with path.open("rb") as file:
            if file.read(2) == b"\x1f\x8b":
                raise UserError(f"{path}: is compressed; unpack it: images are read at their place") from None
        raise DamagedTarError(f"{path}: is no tar file, or damaged: {error}") from None
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None


def _check_end(path: Path, file: IO[bytes], end: int) -> None:
    """Checks that behind the last member is what ends a tar, blocks of zeros, and nothing else."""
    file.seek(end)
    rest = file.read(_BLOCK)
    if len(rest) < _BLOCK:
        raise DamagedTarError(f"{path}: is cut: it has no end")
    while rest:
        if rest.strip(b"\0"):
            raise DamagedTarError(f"{path}: is damaged behind byte {end:,}, where something else than a member stands")
        rest = file.read(1 << 20)


@dataclass(frozen=True, eq=False)
class TarIndex:
    """The files in a tar that are read by name.

    Attributes:
        path: the tar's.
        stamp: of the tar when it was read.
        keys: (N,) uint64, digests of the names, ascending.
        offsets: (N,) int64, where each begins.
        sizes: (N,) int64, in bytes.
        digests: (N, 16) uint8, of their content.
    """

    path: Path
    stamp: Stamp
    keys: NDArray[np.uint64]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    digests: NDArray[np.uint8]

    @classmethod
    def of(cls, path: Path, stamp: Stamp, members: Sequence[Member], digests: Sequence[bytes]) -> TarIndex:
        """The index of some members of a tar, no two of one name, with the digests of their content."""
        keys = np.array([_key(member.name) for member in members], dtype=np.uint64)
        order = np.argsort(keys)
        return cls(
            path,
            stamp,
            keys[order],
            np.array([member.offset for member in members], dtype=np.int64)[order],
            np.array([member.size for member in members], dtype=np.int64)[order],
            np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, DIGEST_BYTES)[order],
        )

    def row(self, name: str) -> int | None:
        """The row of a member; None: it is not among them."""
        key = np.uint64(_key(name))
        row = int(np.searchsorted(self.keys, key))
        return row if row < len(self.keys) and self.keys[row] == key else None


def _key(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "little")


_INDEXES: dict[str, TarIndex] = {}
"""By path. Forked workers inherit them; a process that has none of a tar reads it through."""


def keep(index: TarIndex) -> None:
    """Lets paths into a tar be read by an index."""
    _INDEXES[str(index.path)] = index


def _found(path: Path) -> tuple[TarIndex, int] | None:
    """The index of the tar that a path leads into, and the row there; None: it leads into none."""
    text = str(path)
    if IN_TAR not in text:
        return None
    for part in _SHARD.finditer(text):
        shard, name = text[: part.end()], text[part.end() + 1 :]
        index = _INDEXES.get(shard)
        if index is None:
            if not os.path.isfile(shard):
                continue
            index = _indexed(Path(shard))
        row = index.row(name)
        return None if row is None else (index, row)
    return None


def _indexed(path: Path) -> TarIndex:
    stamp, members = stamp_of(path), {}
    for member, data in walk(path):
        members[member.name] = member, bytes_digest(data)
    found = list(members.values())
    index = TarIndex.of(path, stamp, [member for member, _ in found], [digest for _, digest in found])
    keep(index)
    return index


def is_member(path: Path) -> bool:
    """Whether a path leads to a file in a tar."""
    return _found(path) is not None


def size_of(path: Path) -> int:
    """The bytes of a file, or of a file in a tar.

    Raises:
        OSError: there is none.
    """
    found = _found(path)
    return os.stat(path).st_size if found is None else int(found[0].sizes[found[1]])


def member_digest(path: Path) -> bytes | None:
    """The digest of the content of a file in a tar, as it was when the tar was read; None: there is none.

    Raises:
        UserError: the tar cannot be read.
    """
    found = _found(path)
    return None if found is None else found[0].digests[found[1]].tobytes()


def read_member(path: Path) -> bytes | None:
    """The content of a file in a tar; None: the path leads to none.

    Raises:
        UserError: the tar cannot be read, or has changed.
    """
    found = _found(path)
    if found is None:
        return None
    index, row = found
    offset, size = int(index.offsets[row]), int(index.sizes[row])
    data = _opened(index).read(offset, size)
    if len(data) < size:
        raise DamagedTarError(f"{index.path}: is cut; it was whole when it was read first")
    return data


class _Opened:
    """A tar that is open for reading at any place, by several threads and processes."""

    def __init__(self, index: TarIndex) -> None:
        try:
            self._handle = os.open(index.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise UserError(f"{index.path}: cannot be read: {error.strerror}") from None
        self.index = index
        self._part = -1

    def read(self, offset: int, size: int) -> bytes:
        handle, part = self._handle, offset // _AHEAD
        if _stamp(os.fstat(handle)) != self.index.stamp:
            raise UserError(f"{self.index.path}: has changed since it was read; start anew")
        if not self._part - 1 <= part <= self._part:
            self._part = part
            os.posix_fadvise(handle, part * _AHEAD, 2 * _AHEAD, os.POSIX_FADV_WILLNEED)
        return os.pread(handle, size, offset)

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            os.close(self._handle)


_OPEN: OrderedDict[str, _Opened] = OrderedDict()
_LOCK = threading.Lock()
os.register_at_fork(after_in_child=lambda: globals().update(_LOCK=threading.Lock()))


def _opened(index: TarIndex) -> _Opened:
    """A tar's open file; the one that was used least recently is closed where there are too many."""
    name = str(index.path)
    with _LOCK:
        opened = _OPEN.pop(name, None)
        if opened is None or opened.index is not index:
            opened = _Opened(index)
        _OPEN[name] = opened
        if len(_OPEN) > _MAX_OPEN:
            _OPEN.popitem(last=False)  # closed when the last reader lets go
    return opened
