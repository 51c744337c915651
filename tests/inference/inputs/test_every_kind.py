"""What every kind of input keeps, whatever it reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from multitask.errors import UserError
from multitask.inference.inputs import INPUTS, InputOptions
from multitask.inference.stream import ImageInput

NAMES = ("photos/a.png", "photos/b.JPG", "photos/sub/c.png")
PATHS = {
    "folder": "photos",
    "pattern": "photos/**/*.*",
    "list": "list.txt",
    "table": "table.csv",
    "image": "photos/a.png",
}
EMPTY = {"folder": "empty", "pattern": "empty/*", "list": "empty.txt", "table": "empty.csv", "image": "none.png"}


@pytest.fixture(autouse=True)
def here(add_images: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with something of every kind."""
    folder = add_images(*NAMES)
    monkeypatch.chdir(folder)
    (folder / "list.txt").write_text("\n".join(NAMES))
    (folder / "table.csv").write_text("\n".join(["path", *NAMES]))
    (folder / "empty").mkdir()
    (folder / "empty.txt").touch()
    (folder / "empty.csv").write_text("path\n")
    return folder


def test_every_kind_is_tried() -> None:
    assert set(PATHS) == set(EMPTY) == set(INPUTS)


@pytest.mark.parametrize("name", INPUTS)
def test_it_gives_as_many_images_as_it_says_each_time_in_the_same_order(name: str) -> None:
    assert next(key for key, kind in INPUTS.items() if kind.fits(PATHS[name])) == name
    inputs = INPUTS[name](PATHS[name], InputOptions())
    found = [(item.name, item.image) for item in inputs]
    assert inputs.count == len(found)
    assert [item for item, _ in found] == list(NAMES[: len(found)])
    assert all(isinstance(file, Path) and file.is_file() for _, file in found)
    assert [(item.name, item.image) for item in inputs] == found


@pytest.mark.parametrize("name", INPUTS)
def test_images_are_made_as_they_are_needed(name: str) -> None:
    assert isinstance(next(iter(INPUTS[name](PATHS[name], InputOptions()))), ImageInput)


@pytest.mark.parametrize("name", INPUTS)
def test_nothing_is_refused_in_a_line_that_names_it(name: str) -> None:
    with pytest.raises(UserError) as caught:
        INPUTS[name](EMPTY[name], InputOptions())
    assert str(caught.value).startswith(f"{EMPTY[name]}: ")
    assert "\n" not in str(caught.value)
