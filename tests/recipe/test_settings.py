"""The recipe file: what it may hold, and what is refused before anything is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multitask.config import Config
from multitask.errors import UserError
from multitask.progress import StudyProgress
from multitask.recipe import STAGES, StageSettings
from multitask.recipe.folder import RecipeFolder
from multitask.recipe.recipe import run_recipe
from multitask.recipe.settings import load_recipe
from multitask.recipe.stages.partial import PartialSettings
from multitask.testing.stages import STAGE_CHECKS, PaperLab

Make = Callable[..., Path]


def test_a_config_alone_has_the_default_stages(recipe_file: Make) -> None:
    plan = load_recipe(recipe_file().parent / "base.yaml", budget="90m")
    assert [stage.name for stage in plan.settings.stages][:3] == ["baseline", "crop", "study"]
    assert (plan.settings.name, plan.budget_s) == ("base", 5400)


def test_default_stages_that_do_not_go_with_a_config_are_left_out(recipe_file: Make, drawn: Path) -> None:
    base = recipe_file().parent / "base.yaml"
    one_head = ["labels.tasks={hat: {classes: [on, off]}}", "heads={}", "augment.strength=0"]
    plan = load_recipe(base, one_head, budget="1h")
    assert [stage.name for stage in plan.settings.stages] == ["baseline", "crop", "folds", "final"]
    sides = "data.source={name: table, split: side, splits: {val: [v], test: []}}"
    plan = load_recipe(base, [sides, "data.val_fraction=0.2"], budget="1h")
    assert [stage.name for stage in plan.settings.stages] == ["baseline", "crop", "study"]
    several = {"ages": {"root": str(drawn), "source": {"name": "synthetic"}, "tasks": ["age"]},
               "mine": {"root": str(drawn), "source": {"name": "synthetic"}}}  # fmt: skip
    source = json.dumps({"name": "several", "target": "mine", "sources": several})
    plan = load_recipe(base, ['data.root=""', f"data.source={source}"], budget="1h")
    assert [stage.name for stage in plan.settings.stages][:3] == ["baseline", "crop", "partial"]


def test_the_shipped_one_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights.pth").touch()  # which a check does not read
    monkeypatch.setenv("MASK18_WEIGHTS", str(tmp_path / "weights.pth"))
    plan = load_recipe(Path(__file__).parents[2] / "studies" / "recipe.yaml")
    names = [stage.name for stage in plan.settings.stages]
    assert names == ["baseline", "crop", "partial", "folds", "ensemble", "final"]


def test_the_line_goes_before_the_file(recipe_file: Make) -> None:
    plan = load_recipe(recipe_file(), ["training.epochs=7"], "10m")
    assert (plan.budget_s, plan.base.training.epochs) == (600, 7)
    assert load_recipe(recipe_file(overrides={"training.epochs": 5})).base.training.epochs == 5


GIVEN: dict[str, dict[str, Any]] = {
    "partial": {"sources": {"ages": {"root": "some", "source": {"name": "table"}, "tasks": ["age"]}}},
    "pseudo": {"images": "some"},
}
"""What a stage must be told."""


@pytest.mark.parametrize("check", STAGE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", STAGES)
def test_every_stage_keeps_the_contract(
    name: str, check: Callable[[StageSettings, Config], None], tiny: Callable[..., Config]
) -> None:
    check(STAGES[name](**GIVEN.get(name, {})), tiny())


@pytest.mark.parametrize("name", ["crop", "study"])
def test_runs_that_pick_are_half_as_long_as_those_that_are_judged(name: str, tiny: Callable[..., Config]) -> None:
    stage = STAGES[name]()
    lab = PaperLab(stage, tiny({"training.epochs": 8}))
    lab.epochs = 4  # of 8, since the budget holds no more
    lab.config = lab.config.with_changes({"training.epochs": 20})  # as was kept: of which 10 are judged
    assert stage.plan(lab, 1e9).epochs == 5


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_can_be_named(name: str, recipe_file: Make) -> None:
    row = STAGES[name]
    stages = [*dict.fromkeys(["baseline", *filter(None, [row.requires])])]
    stages = stages if name in stages else [*stages, {"name": name, **GIVEN.get(name, {})}]
    plan = load_recipe(recipe_file(stages=stages, judges={"folds": 2, "seeds": row.least_seeds}))
    assert plan.settings.stages[-1 if name != "baseline" else 0].name == name


def test_judged_stages_share_alpha(recipe_file: Make) -> None:
    stages = ["baseline", "crop", "study", "folds"]
    settings = load_recipe(recipe_file(stages=stages)).settings
    assert settings.num_judged == 2
    assert settings.level == pytest.approx(0.975)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"stages": ["crop", "baseline"]}, "stages: must begin with baseline, .* found crop"),
        ({"stages": ["baseline", "crop", "crop"]}, "stages: names crop twice"),
        ({"stages": ["baseline", "folds", "crop"]}, "stages: crop changes the config, so it must stand before folds"),
        ({"stages": ["baseline", "final"]}, "stages: final needs folds before it"),
        ({"stages": ["baseline", "folds", "ensemble"]}, r"judges\.seeds: must be at least 2 for ensemble, found 1"),
        ({"stages": ["baseline", "folds", "ensemble", {"name": "pseudo", "images": "x"}], "judges": {"seeds": 2}},
         "stages: pseudo trains other networks, so it must stand before ensemble"),
        ({"stages": ["baseline", "folds", "ensemble", "views"], "judges": {"seeds": 2}},
         "stages: views is judged, so it must stand before ensemble"),
        ({"stages": ["baseline", "folds", "views", {"name": "pseudo", "images": "x"}]},
         "stages: pseudo trains other networks, so it must stand before views"),
        ({"stages": ["baseline", "folds", {"name": "views", "sets": [["flip", "flop"]]}]},
         r"stages\.views\.sets: unknown view 'flop'; did you mean 'flip'\?"),
        ({"stages": ["baseline", "folds", {"name": "views", "sets": [["flip"]]}], "overrides": {"augment.flip": False}},
         r"stages\.views\.sets: flip: the run's config says"),
        ({"stages": ["baseline", "folds", "pseudo"]}, r"stages\.2\.images: "),
        ({"stages": ["baseline", "folds", {"name": "pseudo", "images": "x", "groups_by_folder": True,
                                           "group_column": "g"}]}, r"stages\.pseudo\.groups_by_folder: would be"),
        ({"stages": ["baseline", "folds", {"name": "pseudo", "images": "x"}],
          "overrides": {"data.corrections": {"files": ["x.yaml"]}}}, r"stages\.pseudo\.data\.corrections: name images"),
        ({"stages": ["baseline", "corp"]}, r"stages\.1\.name: unknown name 'corp'; did you mean 'crop'\?"),
        ({"stages": [{"name": "baseline", "epoch": 1}]}, r"stages\.0\.epoch: unknown key \(of 'baseline'\)"),
        ({"stages": []}, "stages: "),
        ({"budget": "soon"}, "budget: must be a time"),
        ({"budget": None}, "--budget: must say how long the recipe may take"),
        ({"metric": "joint.macro_f2"}, "metric: 'joint.macro_f2' cannot be compared"),
        ({"judges": {"folds": 1}}, r"judges\.folds: "),
        ({"overrides": {"data.val_fraction": 0}}, r"data\.val_fraction: some groups must validate"),
        ({"overrides": {"data.test_folds": 3}}, r"data\.test_folds: is set by the recipe itself"),
        ({"stages": [{"name": "baseline", "epochs": 9}]}, r"stages\.baseline\.epochs: must be at most training"),
        (
            {"stages": ["baseline", {"name": "crop", "detector": "x.onnx", "crops": {"all": "none"}}]},
            r"stages\.crop\.detector: would be ignored",
        ),
        ({"stages": ["baseline", {"name": "crop", "crops": {"all": "none"}}]}, r"stages\.crop\.crops: names no crop"),
        ({"stages": ["baseline", "partial"]}, r"stages\.partial\.sources: must name other sources"),
        (
            {"stages": ["baseline", {"name": "study", "space": {"training.lrr": {"low": 0.1, "high": 0.2}}}]},
            r"stages\.study\.space\.training\.lrr: ",
        ),
        ({"stages": ["baseline", {"name": "study", "space": {"data.test_fold": {"kind": "int", "low": 0, "high": 1}}}]},
         r"stages\.study\.space\.data\.test_fold: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(recipe_file: Make, settings: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=f"^{line}") as caught:
        load_recipe(recipe_file(**settings))
    assert "\n" not in str(caught.value)


def test_partial_sources_go_with_the_base(recipe_file: Make, drawn: Path, tmp_path: Path) -> None:
    part = {"root": str(drawn), "source": "synthetic", "tasks": ["age"]}
    stages = ["baseline", {"name": "partial", "sources": {"ages": part}, "weights": {"agess": 2}}]
    with pytest.raises(UserError, match=r"^stages\.partial\.weights\.agess: there is no source of that name; did"):
        load_recipe(recipe_file(stages=stages))
    stages = ["baseline", {"name": "partial", "sources": {"target": part}}]
    with pytest.raises(UserError, match=r"^stages\.partial\.target: 'target' is one of the other sources"):
        load_recipe(recipe_file(stages=stages))
    part = {**part, "tasks": ["hat"]}
    stages = ["baseline", {"name": "partial", "sources": {"ages": part}}]
    with pytest.raises(UserError, match=r"^stages\.partial\.sources\..*has no task 'hat'"):
        load_recipe(recipe_file(stages=stages))


def test_paths_of_a_recipe_may_come_from_the_environment(
    recipe_file: Make, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = {"root": "${MT_OTHER:-other}", "source": "synthetic", "tasks": ["age"]}
    file = recipe_file(
        base="${MT_BASE:-base}.yaml", stages=["baseline", {"name": "partial", "sources": {"ages": part}}]
    )

    def root() -> str:
        (stage,) = (one for one in load_recipe(file).settings.stages if isinstance(one, PartialSettings))
        return stage.sources["ages"].root

    monkeypatch.delenv("MT_OTHER", raising=False)
    assert root() == str(tmp_path / "other")
    monkeypatch.setenv("MT_OTHER", str(drawn))
    assert root() == str(drawn)
    monkeypatch.setenv("MT_OTHER", "beside")
    assert root() == str(Path.cwd() / "beside")
    file.write_text(file.read_text().replace(":-other", ""))
    monkeypatch.delenv("MT_OTHER")
    with pytest.raises(
        UserError, match=r"^stages\.sources\.ages\.root: the environment variable MT_OTHER is not set; set"
    ):
        load_recipe(file)


def test_what_other_sources_lack_is_said_before_anything_is_written(
    recipe_file: Make, drawn: Path, tmp_path: Path
) -> None:
    part = {"root": str(drawn), "source": "table", "tasks": ["age"]}
    file = recipe_file(stages=["baseline", {"name": "partial", "sources": {"ages": part}}])
    with pytest.raises(UserError, match=r"^stages\.partial\.\S*train\.csv: no such file$"):
        run_recipe(load_recipe(file), RecipeFolder(tmp_path / "out"), StudyProgress())
    assert not (tmp_path / "out").exists()
