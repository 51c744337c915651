from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from multitask.errors import UserError
from multitask.inference.inputs.base import InputOptions
from multitask.inference.inputs.folder import ImageFolder

AddImages = Callable[..., Path]


def names(folder: Path) -> list[str]:
    return [os.path.relpath(item.name, folder) for item in ImageFolder(str(folder), InputOptions())]


def test_it_is_searched_through_sorted_and_without_what_is_hidden(add_images: AddImages) -> None:
    folder = add_images("b/2.png", "b/10.png", "a.JPG", "c/d/e.gif", ".hidden/a.png", "b/.hidden.png")
    assert names(folder) == ["a.JPG", "b/10.png", "b/2.png", "c/d/e.gif"]


def test_other_files_are_counted_in_a_note(add_images: AddImages) -> None:
    folder = add_images("a.png")
    for name in ("read.me", "1.txt", "2.txt"):
        (folder / name).touch()
    inputs = ImageFolder(str(folder), InputOptions())
    assert inputs.notes == (f"{folder}: 3 files are no images by the suffix (2 .txt, 1 .me)",)
    (folder / "raw.dng").touch()
    assert any("raw.dng" in note for note in ImageFolder(str(folder), InputOptions()).notes)


def test_links_are_followed_and_one_that_leads_to_nothing_is_left_to_who_opens_it(
    add_images: AddImages, tmp_path: Path
) -> None:
    add_images("far/1.png", "far/deep/2.png", "photos/0.png")
    folder = tmp_path / "photos"
    (folder / "1.png").symlink_to(tmp_path / "far/1.png")
    (folder / "deep").symlink_to(tmp_path / "far/deep")
    (folder / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert names(folder) == ["0.png", "1.png", "gone.png", "deep/2.png"]


def test_a_folder_without_images_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "a.heic").touch()
    with pytest.raises(UserError, match=r"holds no .*a\.heic"):
        ImageFolder(str(tmp_path), InputOptions())
