"""Atomic files: the old content or the new, never a part, and nothing left lying about; digests that see changes."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.data.face_detector import FaceDetector
from multitask.data.sources.cells import rows
from multitask.data.sources.csv_file import read_csv
from multitask.errors import UserError
from multitask.model.weights import read_weights
from multitask.settings.yaml_text import read_yaml
from multitask.utils import files
from multitask.utils.files import (
    check_regular,
    content_digest,
    csv_text,
    held,
    is_part,
    plain,
    remove_parts,
    replacing,
    to_json,
    write_atomically,
    write_csv,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestWriteAtomically:
    @pytest.mark.parametrize("content", ["text é\n", b"\x00\xff\r\n", ""])
    def test_writes_what_it_is_given_to_the_byte(self, tmp_path: Path, content: str | bytes) -> None:
        path = tmp_path / "file"
        path.write_text("old")
        write_atomically(path, content)
        assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
        assert names(tmp_path) == ["file"]

    @pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
    def test_permissions_follow_the_umask(self, tmp_path: Path, mask: int) -> None:
        before = os.umask(mask)
        try:
            write_atomically(tmp_path / "file", "x")
            assert os.umask(mask) == mask  # left as it was
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask

    @pytest.mark.parametrize("step", ["fdopen", "fsync", "chmod", "replace"])
    @pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
    def test_a_failure_at_any_step_leaves_the_old_file_and_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
    ) -> None:
        path = tmp_path / "file"
        path.write_text("old")
        handles: list[int] = []
        real = tempfile_handle(handles)
        monkeypatch.setattr(files.tempfile, "mkstemp", real)

        def fail(*args: Any, **kwargs: Any) -> Any:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(files.os, step, fail)
            with pytest.raises(type(error)) as caught:
                write_atomically(path, "new")
        if step == "fdopen":
            os.close(handles[0])
        assert path.read_text() == "old"
        assert names(tmp_path) == ["file"]
        if isinstance(error, OSError):
            assert isinstance(caught.value, OSError)
            assert caught.value.errno == errno.ENOSPC
            assert caught.value.filename == str(path)

    def test_a_full_disk_names_the_file(self) -> None:
        with pytest.raises(OSError, match="No space left") as caught:
            Path("/dev/full").write_text("x")  # the error that is imitated above
        assert caught.value.errno == errno.ENOSPC

    def test_a_missing_folder_names_the_file_that_was_wanted(self, tmp_path: Path) -> None:
        path = tmp_path / "none" / "file"
        with pytest.raises(FileNotFoundError) as caught:
            write_atomically(path, "x")
        assert caught.value.filename == str(path)


class TestReplacing:
    def test_the_old_file_stands_until_all_is_written(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_text("old")
        with replacing(path) as file:
            file.write(b"new ")
            file.write(b"content")
            file.flush()
            assert path.read_text() == "old"
            assert len(names(tmp_path)) == 2
            assert all(is_part(tmp_path / name) for name in names(tmp_path) if name != "file")
        assert path.read_text() == "new content"
        assert names(tmp_path) == ["file"]

    def test_an_interrupt_that_comes_as_a_part_is_to_be_removed_leaves_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        remove = Path.unlink

        def interrupted(path: Path, missing_ok: bool = False) -> None:
            monkeypatch.setattr(Path, "unlink", remove)
            raise KeyboardInterrupt

        monkeypatch.setattr(Path, "unlink", interrupted)
        with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "file"):
            raise ZeroDivisionError
        assert not list(tmp_path.iterdir())

    def test_what_goes_wrong_meanwhile_is_passed_on_as_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        with pytest.raises(FileNotFoundError) as caught, replacing(path):
            (tmp_path / "other").read_text()
        assert caught.value.filename == str(tmp_path / "other")
        with pytest.raises(ZeroDivisionError), replacing(path):
            raise ZeroDivisionError
        assert names(tmp_path) == []

    def test_parts_of_one_file_are_removed_and_no_others(self, tmp_path: Path) -> None:
        for name in ("a[1]", ".a[1].x7.part", ".a[1].yy.part", ".a1.x7.part", ".a[1].x7", ".b.x7.part"):
            (tmp_path / name).write_text("x")
        remove_parts(tmp_path / "a[1]")
        assert names(tmp_path) == [".a1.x7.part", ".a[1].x7", ".b.x7.part", "a[1]"]


class TestCheckRegular:
    """What a user names as a file and is none: one line, and nothing is waited for."""

    def test_everything_that_reads_a_users_file(self, tmp_path: Path) -> None:
        pipe = tmp_path / "x.csv"
        os.mkfifo(pipe)
        must = r"x\.csv: must be a file, found a pipe \(FIFO\)$"
        for read in (
            content_digest,
            read_yaml,
            read_weights,
            lambda path: list(read_csv(path, ["a"])),
            lambda path: FaceDetector.read(path, "largest", 0.5, 320),
        ):
            with pytest.raises(UserError, match=must):
                read(pipe)
        table = tmp_path / "x.parquet"
        os.mkfifo(table)
        with pytest.raises(UserError, match=r"x\.parquet: must be a file"):
            list(rows(table, ["a"], ",", "utf-8"))

    def test_a_file_or_nothing_passes(self, tmp_path: Path) -> None:
        check_regular(tmp_path / "absent")
        (tmp_path / "x").touch()
        check_regular(tmp_path / "x")


class TestContentDigest:
    def test_tells_contents_apart(self, tmp_path: Path) -> None:
        for name, content in {"a": "one", "b": "two", "c": "one"}.items():
            (tmp_path / name).write_text(content)
        a, b, c = (content_digest(tmp_path / name) for name in "abc")
        assert a == c != b

    @pytest.mark.parametrize("settled_s", [-60.0, 2.0], ids=["remembered at once", "as it is"])
    def test_a_change_is_seen_that_keeps_size_and_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settled_s: float
    ) -> None:
        monkeypatch.setattr(files, "_SETTLED_S", settled_s)
        path = tmp_path / "file"
        path.write_text("one")
        before = path.stat()
        first = content_digest(path)
        while path.stat().st_ctime_ns == before.st_ctime_ns:  # the clock of the file system is coarse
            path.write_text("two")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_mtime_ns == before.st_mtime_ns
        assert content_digest(path) != first

    def test_a_file_is_read_once_unless_it_was_just_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "file"
        path.write_text("one")
        for settled_s, again in ((2.0, True), (-60.0, False)):
            monkeypatch.setattr(files, "_SETTLED_S", settled_s)
            content_digest(path)
            with monkeypatch.context() as patched:
                patched.setattr(files, "hashlib", None)
                if again:
                    with pytest.raises(AttributeError):
                        content_digest(path)
                else:
                    content_digest(path)

    def test_what_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"absent: no such file$"):
            content_digest(tmp_path / "absent")
        with pytest.raises(UserError, match=f"^{tmp_path}: must be a file, found a folder$"):
            content_digest(tmp_path)


def tempfile_handle(handles: list[int]) -> Callable[..., tuple[int, str]]:
    import tempfile

    make = tempfile.mkstemp

    def remembered(*args: Any, **kwargs: Any) -> tuple[int, str]:
        handle, name = make(*args, **kwargs)
        handles.append(handle)
        return handle, name

    return remembered


numbers = st.floats() | st.integers(-(10**9), 10**9)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


class TestToJson:
    @given(json_values)
    @settings(deadline=None, max_examples=80)
    def test_any_value_is_strict_json_with_none_for_what_is_no_number(self, value: Any) -> None:
        def refuse(name: str) -> None:
            raise AssertionError(name)

        text = to_json(value)
        assert text.endswith("\n")
        assert json.loads(text, parse_constant=refuse) == plain(value)

    def test_nan_and_infinity_become_null_at_any_depth(self) -> None:
        value = {"a": [math.nan, {"b": (math.inf, -math.inf, 1.5)}], 3: True}
        assert to_json(value, indent=None) == '{"a": [null, {"b": [null, null, 1.5]}], "3": true}\n'

    def test_names_stay_readable(self) -> None:
        assert to_json("Zoë", indent=None) == '"Zoë"\n'


def test_a_table_is_written_row_by_row_and_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"

    def rows(num: int) -> Iterator[tuple[str, int]]:
        for number in range(num):
            written = sum(part.stat().st_size for part in tmp_path.iterdir())
            assert 12 * number - written <= 100_000, "rows were kept until the last"
            assert not path.exists()
            yield 'é,"', number

    write_csv(path, rows(30_000))
    assert path.read_text(encoding="utf-8") == csv_text(('é,"', 0), (('é,"', number) for number in range(1, 30_000)))
    path.unlink()
    with pytest.raises(ZeroDivisionError):
        write_csv(path, ((1 // number,) for number in (1, 0)))
    assert list(tmp_path.iterdir()) == []


def test_a_table_as_csv_quotes_what_it_must() -> None:
    assert csv_text(("a", "b"), [("x,y", 1), ('"', "")]) == 'a,b\n"x,y",1\n"""",\n'


def test_a_folder_where_no_lock_can_be_made_is_named_itself(tmp_path: Path) -> None:
    (tmp_path / "file").touch()  # root may write to any folder
    with pytest.raises(OSError) as error, held(tmp_path / "file" / ".lock"):
        pass
    assert error.value.filename == str(tmp_path / "file")


def test_a_file_is_held_by_one_at_a_time_and_let_go_of_by_who_ends(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with held(path) as mine:
        assert mine
        with held(path) as too:
            assert not too
    with held(path) as again:
        assert again


@pytest.mark.parametrize("with_folder", [False, True])
def test_a_lock_that_its_last_holder_removed_while_one_was_held_up_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_folder: bool
) -> None:
    """Else two would hold locks of one name, and both write there."""
    path = tmp_path / "run" / ".lock"
    path.parent.mkdir()
    real, held_up = fcntl.flock, []

    def flock(handle: int, how: int) -> None:
        if not held_up:  # between the opening and the lock
            held_up.append(path)
            path.unlink()
            if with_folder:
                path.parent.rmdir()
        real(handle, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with held(path) as mine:
        assert mine
        assert held_up
        with held(path) as too:
            assert not too
