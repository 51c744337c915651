from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from multitask.errors import UserError
from multitask.inference.inputs import InputOptions, NamedInputs


@pytest.fixture(autouse=True)
def here(add_images: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = add_images("a/1.png", "a/b/2.png", "c.png")
    (folder / "t.csv").write_text("path,who\na/1.png,x\n")
    monkeypatch.chdir(folder)
    return folder


def test_paths_of_several_kinds_one_after_the_other_with_what_is_named_twice() -> None:
    inputs = NamedInputs(["c.png", "a", "t.csv", "*.png"], InputOptions(group_column="who"))
    assert [item.name for item in inputs] == ["c.png", "a/1.png", "a/b/2.png", "a/1.png", "c.png"]
    assert [item.group for item in inputs] == [None, None, None, "x", None]
    assert inputs.count == 5
    assert inputs.has_groups


def test_groups_by_folder() -> None:
    inputs = NamedInputs(["c.png", "a", "t.csv"], InputOptions(groups_by_folder=True))
    assert [item.group for item in inputs] == [".", "a", "a/b", "a"]


def test_a_file_of_no_kind_is_taken_for_an_image(here: Path) -> None:
    (here / "IMG").touch()
    assert [item.name for item in NamedInputs(["IMG"], InputOptions())] == ["IMG"]


@pytest.mark.parametrize(
    ("paths", "options", "match"),
    [
        (["nothere"], InputOptions(), "nothere: no such file or folder$"),
        (["https://host/1.jpg"], InputOptions(), "no such file or folder; addresses are not fetched"),
        (["a"], InputOptions(path_column="file"), "--path-column: would be ignored"),
        (["a"], InputOptions(group_column="who"), "--group-column: would be ignored"),
        (["a"], InputOptions(box_columns=("l", "t", "r", "b")), "--box-columns: would be ignored"),
        (["t.csv"], InputOptions(group_column="who", groups_by_folder=True), "--groups-by-folder and --group-column"),
        (["-", "-"], InputOptions(), "standard input can be read once"),
    ],
)
def test_what_cannot_be_or_would_be_ignored_is_refused(paths: list[str], options: InputOptions, match: str) -> None:
    with pytest.raises(UserError, match=match):
        NamedInputs(paths, options)
