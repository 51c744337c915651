"""The drawn set as a source: drawn where it is absent, refused where another one is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from multitask.data.sources import SyntheticSettings
from multitask.errors import UserError
from multitask.labels import LabelSpace, Task

SPACE = LabelSpace([Task("gender", ("male", "female"))])


def source(**draw: object) -> SyntheticSettings:
    return SyntheticSettings.model_validate({"draw": draw})


def test_without_draw_a_set_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no synthetic set; draw one with `multitask synth "):
        SyntheticSettings().samples(tmp_path, SPACE)


def test_with_draw_it_is_drawn_once(tmp_path: Path) -> None:
    root = tmp_path / "set"
    first = source(people=1, seed=3).samples(root, SPACE)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    again = source(people=1, seed=3).samples(root, SPACE)
    assert len(first) == len(again) == 7
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


@pytest.mark.parametrize(
    ("draw", "line"),
    [
        ({"people": 13, "seed": 1}, r"^data\.source\.draw\.people: .* was drawn with 12, found 13$"),
        ({"people": 12, "seed": 2}, r"^data\.source\.draw\.seed: .* was drawn with 1, found 2$"),
        ({"people": 12, "seed": 1, "noise": 0.5}, r"^data\.source\.draw\.noise: .* was drawn with 0\.0, found 0\.5$"),
    ],
)
def test_another_set_in_its_place_is_named(drawn: Path, draw: dict[str, object], line: str) -> None:
    with pytest.raises(UserError, match=line):
        source(**draw).samples(drawn, SPACE)


@pytest.mark.parametrize("manifest", [None, "{", "[]", "12"])
def test_a_folder_with_something_else_is_left_alone(tmp_path: Path, manifest: str | None) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    if manifest is not None:
        (tmp_path / "synth.json").write_text(manifest)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"exists and holds no synthetic set; name another data\.root$"):
        source(people=1).samples(tmp_path, SPACE)
    assert sorted(tmp_path.iterdir()) == before


def test_a_damaged_set_is_named(drawn: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(drawn, root)
    (root / "train" / "train.csv").unlink()
    with pytest.raises(UserError, match=r"train\.csv: no such file$"):
        source(people=12, seed=1).samples(root, SPACE)
