from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from multitask.errors import UserError
from multitask.inference.inputs.base import InputOptions
from multitask.inference.inputs.pattern import PathPattern

AddImages = Callable[..., Path]


@pytest.fixture(autouse=True)
def here(add_images: AddImages, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = add_images("a/1.png", "a/2.jpg", "a/b/3.png", "c/4.png")
    (folder / "a/notes.txt").touch()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*/*.png", ["a/1.png", "c/4.png"]),
        ("**/*.png", ["a/1.png", "a/b/3.png", "c/4.png"]),
        ("[ac]/[12]*", ["a/1.png", "a/2.jpg"]),
        ("?/?.png", ["a/1.png", "c/4.png"]),
    ],
)
def test_the_images_that_match_are_sorted(pattern: str, found: list[str]) -> None:
    inputs = PathPattern(pattern, InputOptions())
    assert [item.name for item in inputs] == found
    assert inputs.notes == ()


def test_other_files_are_counted_and_folders_are_not() -> None:
    inputs = PathPattern("a/*", InputOptions())
    assert inputs.count == 2
    assert inputs.notes == ("a/*: 1 file is no image by the suffix (1 .txt)",)


def test_a_pattern_that_matches_no_image_says_what_it_matches() -> None:
    with pytest.raises(UserError, match=r"a/\*\.txt: there is no such file, and .* no image .*1 \.txt"):
        PathPattern("a/*.txt", InputOptions())


def test_a_file_that_is_really_called_so_is_no_pattern(here: Path) -> None:
    (here / "[1].png").touch()
    assert not PathPattern.fits("[1].png")
    assert PathPattern.fits("[2].png")
