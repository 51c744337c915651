"""Shared arrays: made once whoever asks, whole or not there at all, made again where they are damaged."""

from __future__ import annotations

import multiprocessing
import os
import pwd
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from multitask.errors import UserError
from multitask.utils.files import is_part
from multitask.utils.shared_arrays import _locked, clear, default_folder, kept, kept_files, make_folder

FORK = multiprocessing.get_context("fork")
ROWS = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)


def rows(array: np.ndarray[Any, Any] = ROWS, size: int = 2) -> Callable[[], Iterator[np.ndarray[Any, Any]]]:
    return lambda: (array[start : start + size] for start in range(0, len(array), size))


def nobody() -> Iterator[np.ndarray[Any, Any]]:
    raise AssertionError("it was made again")


def parts(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if is_part(path)]


def wait_for(reached: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float16, np.int16])
def test_rows_come_back_as_they_were_made(tmp_path: Path, dtype: Any, size: int) -> None:
    array = ROWS.astype(dtype)
    path = tmp_path / "folder" / "x.npy"
    made = kept(path, 5, rows(array, size))
    again = kept(path, 5, nobody)
    for found in (made, again):
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, array)
        assert not found.flags.writeable
    np.testing.assert_array_equal(np.load(path), array)  # in NumPy's format
    assert parts(path.parent) == []


def test_rows_are_mapped_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    found = kept(path, 5, rows())
    base: Any = found
    while getattr(base, "base", None) is not None:
        base = base.base
    assert type(base).__name__ == "mmap"
    with path.open("r+b") as file:
        file.seek(-4 - ROWS.size, os.SEEK_END)
        file.write(b"\xff")
    assert found[0, 0, 0] == 255


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 20, 100, -1, -4, -5])
def test_a_file_that_is_too_short_is_made_again(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "x.npy"
    kept(path, 5, rows())
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    np.testing.assert_array_equal(kept(path, 5, rows()), ROWS)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("place", [0, 7, 30, 128, 150, -5, -1])
def test_a_file_with_a_wrong_byte_is_made_again(tmp_path: Path, place: int) -> None:
    path = tmp_path / "x.npy"
    kept(path, 5, rows())
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[place] ^= 4
    path.write_bytes(damaged)
    np.testing.assert_array_equal(kept(path, 5, rows()), ROWS)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("content", [b"\0\0\0\0", b"\0" * 500, b"some text"])
def test_what_is_no_array_is_made_again(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    np.testing.assert_array_equal(kept(path, 5, rows()), ROWS)


def test_what_goes_wrong_is_passed_on_and_nothing_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"

    def broken() -> Iterator[np.ndarray[Any, Any]]:
        yield ROWS[:2]
        raise ZeroDivisionError

    for make, error in ((broken, ZeroDivisionError), (rows(ROWS[:3]), AssertionError)):
        with pytest.raises(error):
            kept(path, 5, make)
        assert [file.name for file in tmp_path.iterdir()] == ["x.lock"]
    np.testing.assert_array_equal(kept(path, 5, rows()), ROWS)


def _ask(path: Path, log: Path, start: Any, ends: Connection) -> None:
    def make() -> Iterator[np.ndarray[Any, Any]]:
        with log.open("a") as file:
            file.write("made\n")
        for row in ROWS:
            time.sleep(0.02)
            yield row[None]

    start.wait()
    ends.send(kept(path, 5, make).tolist())


def test_of_processes_that_ask_at_once_one_makes_it(tmp_path: Path) -> None:
    log, start = tmp_path / "log", FORK.Barrier(4)
    ours, theirs = FORK.Pipe(duplex=False)
    asking = [FORK.Process(target=_ask, args=(tmp_path / "x.npy", log, start, theirs)) for _ in range(4)]
    for process in asking:
        process.start()
    for process in asking:
        process.join(60)
        assert process.exitcode == 0
    assert log.read_text() == "made\n"
    for _ in asking:
        assert ours.recv() == ROWS.tolist()


def _hang(path: Path) -> None:
    def make() -> Iterator[np.ndarray[Any, Any]]:
        yield np.zeros((1, 1 << 20), dtype=np.uint8)  # more than waits in a buffer
        time.sleep(600)

    kept(path, 5, make)


def test_a_maker_that_is_killed_leaves_nothing_that_is_served_and_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    process = FORK.Process(target=_hang, args=(path,))
    process.start()
    wait_for(lambda: [part for part in parts(tmp_path) if part.stat().st_size])
    other = tmp_path / ".y.npy.abc.part"  # of another file, which somebody may be writing
    other.write_text("x")
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not path.exists()
    assert len(parts(tmp_path)) == 2
    np.testing.assert_array_equal(kept(path, 5, rows()), ROWS)
    assert parts(tmp_path) == [other]


def test_a_child_process_of_the_maker_does_not_keep_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    children = []

    def make() -> Iterator[np.ndarray[Any, Any]]:
        child = FORK.Process(target=time.sleep, args=(600,))
        child.start()
        children.append(child)
        yield ROWS

    kept(path, 5, make)
    path.unlink()
    again = FORK.Process(target=kept, args=(path, 5, rows()))
    again.start()
    again.join(30)
    children[0].kill()
    children[0].join()
    assert again.exitcode == 0


def test_damage_is_told_and_absence_is_not(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    told: list[str] = []
    for _ in range(2):
        kept(path, 5, rows(), lambda: told.append("damaged"))
    assert told == []
    path.unlink()
    path.write_bytes(b"x" * 500)
    kept(path, 5, rows(), lambda: told.append("damaged"))
    assert told == ["damaged"]


KEY = "0123456789abcdef" * 2
OTHERS = ("pixels-mine.npy", f"other-{KEY}.npy", f"pixels-{KEY}.txt")


class TestFolder:
    def test_default_is_where_caches_belong(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        for value, expected in {"": tmp_path / ".cache", "a": tmp_path / ".cache", "/there": Path("/there")}.items():
            monkeypatch.setenv("XDG_CACHE_HOME", value)
            assert default_folder() == expected / "multitask"
        monkeypatch.delenv("XDG_CACHE_HOME")
        assert default_folder() == tmp_path / ".cache" / "multitask"

    def test_lists_what_is_kept_and_nothing_else(self, tmp_path: Path) -> None:
        assert kept_files(tmp_path / "nowhere") == []
        kept(tmp_path / f"pixels-{KEY}.npy", 5, rows())
        kept(tmp_path / f"boxes-{KEY}.npy", 5, rows(np.zeros((5, 4))))
        (tmp_path / f"features-{KEY}.npy").write_bytes(b"damaged")
        for name in OTHERS:
            (tmp_path / name).write_text("not ours")
        found = {file.kind: file for file in kept_files(tmp_path)}
        shapes = {kind: file.shape for kind, file in found.items()}
        assert shapes == {"pixels": (5, 4, 3), "boxes": (5, 4), "features": None}
        assert all(file.num_bytes == file.path.stat().st_size for file in found.values())

    def test_clear_removes_what_is_kept_and_nothing_else(self, tmp_path: Path) -> None:
        assert clear(tmp_path / "nowhere") == (0, [])
        path = tmp_path / f"pixels-{KEY}.npy"
        mapped = kept(path, 5, rows())
        (tmp_path / f".{path.name}.abc.part").write_bytes(b"x" * 1000)  # by a maker that was killed
        for name in OTHERS:
            (tmp_path / name).write_text("not ours")
        size = path.stat().st_size
        assert clear(tmp_path) == (size + 1000, [])
        assert sorted(file.name for file in tmp_path.iterdir()) == sorted(OTHERS)
        np.testing.assert_array_equal(mapped, ROWS)  # whoever has it goes on

    def test_clear_leaves_what_is_being_made(self, tmp_path: Path) -> None:
        path = tmp_path / f"pixels-{KEY}.npy"
        process = FORK.Process(target=_hang, args=(path,))
        process.start()
        try:
            wait_for(lambda: [part for part in parts(tmp_path) if part.stat().st_size])
            assert clear(tmp_path) == (0, [path])
            assert len(parts(tmp_path)) == 1
        finally:
            process.kill()
            process.join()
        (left,) = parts(tmp_path)  # as much as had reached the disk
        size = left.stat().st_size
        assert size > 0
        assert clear(tmp_path) == (size, [])
        assert list(tmp_path.iterdir()) == []

    def test_a_lock_that_was_removed_while_one_waited_for_it_is_not_trusted(self, tmp_path: Path) -> None:
        """Else two would hold locks of one name, and remove each other's work."""
        lock = tmp_path / "x.lock"
        waiting, holding = FORK.Event(), FORK.Event()

        def wait() -> None:
            waiting.set()
            with _locked(lock):
                holding.set()
                time.sleep(600)

        process = FORK.Process(target=wait)
        with _locked(lock):
            process.start()
            assert waiting.wait(60)
            time.sleep(0.2)
            lock.unlink()
        try:
            assert holding.wait(60)
            with pytest.raises(BlockingIOError), _locked(lock, wait=False):
                pass
        finally:
            process.kill()
            process.join()


def test_who_has_no_home_keeps_arrays_among_the_temporary_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nobody(number: int) -> NoReturn:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_folder() == tmp_path / f"multitask-{os.getuid()}"


def test_a_folder_that_cannot_be_written_to_is_one_line_that_says_how_to_have_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write to any
    with pytest.raises(UserError) as error:
        kept(tmp_path / f"pixels-{KEY}.npy", 5, rows())
    assert str(error.value) == (
        f"{tmp_path}: cannot be written to (Permission denied), and keeps what other runs take again; "
        "data.cache_dir names another folder, XDG_CACHE_HOME one for all"
    )
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/exports: cannot be written to \(Not a directory\).*; elsewhere"):
        make_folder(tmp_path / "file" / "exports", "elsewhere")
