from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from multitask.bakeoff.plan import load_bakeoff
from multitask.bakeoff.settings import BakeoffSettings, read_bakeoff
from multitask.settings import problems, validate
from multitask.settings.yaml_text import read_yaml

FILES = [
    path for path in sorted((Path(__file__).parents[2] / "studies").glob("*.yaml")) if "contenders" in read_yaml(path)
]
FILE: dict[str, Any] = {"name": "test", "base": "base.yaml", "contenders": {"a": None, "b": {"overrides": {"seed": 1}}}}


def problem_of(**changes: Any) -> str:
    found = problems(BakeoffSettings, {**FILE, **changes})
    assert len(found) == 1, found
    assert "\n" not in found[0]
    return found[0]


class TestFile:
    def test_what_need_not_be_said(self) -> None:
        found = validate(BakeoffSettings, FILE)
        assert found.seeds == (0, 1, 2)
        assert found.compared_with == "a"
        assert found.points == ("all",)
        assert found.num_passes == 3
        assert found.contenders["a"].overrides == {}

    @pytest.mark.parametrize(("seeds", "folds", "passes"), [(3, 3, 1), (2, 3, 1), (6, 3, 2), ([4, 9], None, 2)])
    def test_passes(self, seeds: Any, folds: int | None, passes: int) -> None:
        assert validate(BakeoffSettings, {**FILE, "seeds": seeds, "folds": folds}).num_passes == passes

    @pytest.mark.parametrize(
        ("changes", "parts"),
        [
            ({"contenders": {"a": None}}, ("contenders", "two or more", "found 1")),
            ({"contenders": {"a b": None, "A-b": None}}, ("contenders.A-b", "a-b", "'a b'")),
            ({"contenders": {"+": None, "b": None}}, ("contenders.+", "letter")),
            ({"contenders": {"a": {"override": {}}, "b": None}}, ("contenders.a.override", "'overrides'")),
            ({"contenders": "a"}, ("contenders", "section of keys")),
            ({"reference": "aa"}, ("reference", "'aa'", "'a'")),
            ({"seeds": 0}, ("seeds", "found 0")),
            ({"seeds": True}, ("seeds", "true")),
            ({"seeds": 10**30}, ("seeds", "at most 1000")),
            ({"seeds": [1, 1]}, ("seeds", "twice")),
            ({"seeds": [-1, 1]}, ("seeds", "-1")),
            ({"folds": 1}, ("folds", "2", "found 1")),
            ({"seeds": 4, "folds": 3}, ("seeds", "folds (3)", "found 4")),
            ({"budget": {}}, ("budget", "either images or seconds")),
            ({"budget": {"images": 10, "seconds": 1.0}}, ("budget", "either images or seconds")),
            ({"budget": {"images": 0}}, ("budget.images", "found 0")),
            ({"axis": {"groups": [20]}}, ("axis.groups", "2 items")),
            ({"axis": {"groups": [20, 10]}}, ("axis.groups", "ascend", "20, 10")),
            ({"axis": {"groups": ["all", 10]}}, ("axis.groups", "ascend")),
            ({"tune": {"training.lr": []}}, ("tune.training.lr", "1 item")),
            ({"sedes": 3}, ("sedes", "'seeds'")),
        ],
    )
    def test_what_is_wrong_is_one_line(self, changes: dict[str, Any], parts: tuple[str, ...]) -> None:
        line = problem_of(**changes)
        for part in parts:
            assert part in line

    def test_configs_may_come_from_the_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MT_FOLDER", str(tmp_path))
        file = tmp_path / "bakeoff.yaml"
        contenders = "{a: {config: '${MT_FOLDER}/a.yaml'}, b: {overrides: {data.root: '${MT_FOLDER}'}}}"
        file.write_text(f"name: a\nbase: ${{MT_FOLDER}}/b.yaml\ncontenders: {contenders}\n")
        found = read_bakeoff(file)
        assert found.base == str(tmp_path / "b.yaml")
        assert found.contenders["a"].config == str(tmp_path / "a.yaml")
        assert found.contenders["b"].overrides == {"data.root": "${MT_FOLDER}"}, "as it is expanded with the base"


class TestShippedFiles:
    def test_there_are_some(self) -> None:
        assert FILES

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
    def test_every_contender_is_a_valid_config(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert not problems(BakeoffSettings, read_yaml(path), path.parent)
        base = path.parent / read_yaml(path)["base"]
        for name in re.findall(r"\$\{(\w+)", path.read_text() + base.read_text()):
            monkeypatch.delenv(name, raising=False)
        # Also where the weights that the base names are not here: a check does not read them.
        (tmp_path / "weights.pth").touch()
        plan = load_bakeoff(path, [f"model.backbone.weights={tmp_path / 'weights.pth'}"])
        assert len(plan.contenders) >= 2

    def test_no_two_have_the_same_name(self) -> None:
        names = [read_yaml(path)["name"] for path in FILES]
        assert len(set(names)) == len(names)
