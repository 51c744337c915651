from __future__ import annotations

import io
import sys
import tracemalloc
from pathlib import Path

import pytest

from multitask.errors import UserError
from multitask.inference.inputs.base import InputOptions
from multitask.inference.inputs.path_list import PathList


def standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def names(path: str | Path) -> list[str]:
    return [item.name for item in PathList(str(path), InputOptions())]


def test_a_line_is_a_path_with_its_spaces_and_duplicates(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeffa.png\r\n\n b c.png \n  \na.png\nä.png".encode())
    assert names(path) == ["a.png", " b c.png ", "a.png", "ä.png"]


def test_standard_input_is_a_list_of_which_nobody_knows_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    standard_input(monkeypatch, b"a.png\nb.png\n")
    inputs = PathList("-", InputOptions())
    assert inputs.count is None
    assert [item.name for item in inputs] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "holds no paths"),
        (b"\n \n", "holds no paths"),
        (b"a.png\nb\xe4.png\n", "line 2: is no UTF-8 text .byte 0xe4"),
        (b"a.png\0b.png\0", "line 1: holds a zero byte"),
        (b"a" * 70_000, "line 1: has more than 65,536 bytes"),
    ],
)
@pytest.mark.parametrize("kind", ["file", "stdin"])
def test_what_is_no_list_is_refused(
    kind: str, data: bytes, match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(data)
    standard_input(monkeypatch, data)
    where = "standard input" if kind == "stdin" else str(path)
    with pytest.raises(UserError, match=f"^{where}.*{match}"):
        names("-" if kind == "stdin" else path)


def test_an_input_that_is_closed_or_a_list_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UserError, match="standard input: holds no paths"):
        names("-")
    with pytest.raises(UserError, match=r"nothere\.txt: no such file"):
        names(tmp_path / "nothere.txt")


def test_a_file_whose_name_is_composed_otherwise_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a\u0308.png").touch()
    (tmp_path / "list.txt").write_text("\u00e4.png")
    [item] = PathList("list.txt", InputOptions())
    assert item.name == "\u00e4.png"
    assert isinstance(item.image, Path)
    assert item.image.exists()


def test_a_long_list_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("a/long/path/to/an/image.png\n" * 50_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in PathList(str(path), InputOptions())) == 50_000
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()
