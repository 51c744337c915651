"""Whole recipes of real runs, from the file to the report."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from multitask.config import load_config
from multitask.errors import UserError
from multitask.progress import RunningTrial, StudyProgress
from multitask.recipe import STAGES, StageSettings
from multitask.recipe import recipe as module
from multitask.recipe.folder import RecipeFolder
from multitask.recipe.lab import Lab
from multitask.recipe.recipe import run_recipe
from multitask.recipe.report import read_recipe_report
from multitask.recipe.settings import load_recipe
from multitask.recipe.stage import CannotHoldError, Proposal, StagePlan
from multitask.reporting.recipe.report_schema import RecipeReport, StageReport
from multitask.runs.data_module import DataModule
from multitask.settings.tables import tables_saved
from multitask.utils.records import read_record
from tests.processes import Forked, kill_once_stopped, stops_after

Make = Callable[..., Path]
CROPS = {"name": "crop", "crops": {"top": {"name": "centre", "bottom": 0.6}}, "epochs": 1}


class _Hours:
    """How long ago it was that the tests began, beside the time that they take."""

    past_s = 0.0


def go_by(seconds: float) -> None:
    """Time goes by at once."""
    _Hours.past_s += seconds


class GuessSettings(StageSettings):
    """Answers as it is told to: right, or any class, whatever the networks say."""

    name: Literal["guess"] = "guess"
    title: ClassVar[str] = "Guess"
    right: bool = True
    cost_s: float = 1.0
    takes_s: float = 0.0
    """Of the clock, each time."""
    changes: dict[str, Any] = {}

    def plan(self, lab: Lab, left_s: float) -> StagePlan:
        if self.cost_s > left_s:
            raise CannotHoldError(f"it takes about {self.cost_s:g} s")
        return StagePlan(self.cost_s, 1)

    def perform(self, lab: Lab, plan: StagePlan) -> Proposal:
        go_by(self.takes_s)
        lab.clock.check()
        rng = np.random.default_rng(0)
        one = lab.answers[0]
        guess = one.classes if self.right else rng.integers(0, one.space.num_classes, len(one))
        return Proposal(self.changes, answers=[replace(one, predicted=guess)])


class AgainSettings(GuessSettings):
    """A second one, to stand behind the first."""

    name: Literal["again"] = "again"  # type: ignore[assignment]
    title: ClassVar[str] = "Again"


@pytest.fixture(autouse=True)
def own_stages() -> Iterator[None]:
    restore = tables_saved()
    STAGES.register(GuessSettings, AgainSettings)
    yield
    restore()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's speed, as if it had been measured."""
    monkeypatch.setattr(module, "seconds_per_image", lambda *_: 1e-3)


@pytest.fixture(autouse=True)
def hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that ``go_by`` puts on."""
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + _Hours.past_s)


def cook(file: Path, out: Path, budget: str | None = None, progress: StudyProgress | None = None) -> RecipeReport:
    return run_recipe(load_recipe(file, budget=budget), RecipeFolder(out), progress or StudyProgress())


def decisions(report: RecipeReport) -> list[StageReport]:
    """The stages without what depends on the clock."""
    return [replace(stage, seconds=0.0, estimate_s=None) for stage in report.stages]


def test_of_those_who_pick_only_groups_with_the_metrics_label_count(recipe_file: Make, tmp_path: Path) -> None:
    root = tmp_path / "images"
    root.mkdir()
    rows = []
    for index in range(40):
        Image.new("RGB", (16, 16), (6 * index, 0, 0)).save(root / f"{index}.png")
        labels = {"mask": ("wear", "incorrect", "not_worn")[index % 3], "age": 20 + index}
        gender = "" if index % 4 == 3 else ("male", "female")[index % 2]
        rows.append({"path": f"{index}.png", **labels, "gender": gender, "person": f"p{index}"})
    pd.DataFrame(rows).to_csv(root / "train.csv", index=False)
    data = {"data.root": str(root), "data.source": {"name": "table", "group": "person"}}
    file = recipe_file(data, metric="tasks.gender.macro_f1")
    picking = DataModule(load_config(tmp_path / "base.yaml")).split.val  # a group has one image
    known = sum(rows[index]["gender"] != "" for index in picking)
    assert known < len(picking)
    assert cook(file, tmp_path / "out").num_pick_groups == known


@pytest.fixture(scope="module")
def cooked(write_recipe: Make, tmp_path_factory: pytest.TempPathFactory) -> tuple[RecipeReport, Path]:
    """One that came to its end; not to be changed."""
    folder = tmp_path_factory.mktemp("cooked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "seconds_per_image", lambda *_: 1e-3)
        return cook(write_recipe(folder, stages=["baseline", CROPS]), folder / "out"), folder / "out"


class TestWhole:
    def test_it_says_everything_and_leaves_the_config(self, cooked: tuple[RecipeReport, Path]) -> None:
        report, out = cooked
        assert read_record(out / "report.json", RecipeReport) == report
        assert read_recipe_report(out)[1] == report
        names = {path.name for path in out.iterdir()}
        assert names == {
            ".lock", "recipe.yaml", "clock.json", "report.json", "recipe.html", "best.yaml", "runs", "stages",
        }  # fmt: skip
        assert [stage.name for stage in report.stages] == ["baseline", "crop"]
        crop = report.stages[1]
        assert [one.name for one in crop.tried] == ["as it stands", "top"]
        assert sum(one.picked for one in crop.tried) == 1
        best = load_config(out / "best.yaml")
        assert best.data.crop.name == ("centre" if crop.state == "kept" else "none")
        spent = json.loads((out / "clock.json").read_text())["stages"]
        assert report.spent_s == pytest.approx(sum(spent.values()))
        assert [stage.seconds for stage in report.stages] == pytest.approx(list(spent.values()))

    def test_what_a_run_takes_beside_its_epochs_is_reckoned_with(self, cooked: tuple[RecipeReport, Path]) -> None:
        _, out = cooked
        clock = json.loads((out / "clock.json").read_text())
        rows = [json.loads(line) for path in out.glob("runs/*/metrics.jsonl") for line in path.read_text().splitlines()]
        assert clock["image_s"] * clock["trained"] == pytest.approx(sum(row["seconds"] for row in rows))
        assert clock["runs"] == len(list(out.glob("runs/*"))) == 4
        assert clock["run_s"] > 0
        assert clock["preparations"] == [], "what runs shared is gone with the recipe's end"

    def test_judges_are_answered_once_and_pick_nothing(
        self, cooked: tuple[RecipeReport, Path], recipe_file: Make
    ) -> None:
        report, out = cooked
        judged: dict[str, set[str]] = {}
        pickers: set[str] = set()
        for run in (out / "runs").iterdir():
            split = pd.read_csv(run / "split.csv", dtype=str)
            sides = {side: set(rows["group"]) for side, rows in split.groupby("split")}
            pickers |= sides["val"]
            crop = load_config(run / "config.yaml").data.crop.name
            if not (run / "predictions-test.csv").is_file():
                assert "test" not in sides
                continue
            answered = set(pd.read_csv(run / "predictions-test.csv", dtype=str)["group"])
            assert answered == sides["test"]
            assert not answered & (sides["train"] | sides["val"])
            assert not answered & judged.setdefault(crop, set())
            judged[crop] |= answered
            assert not (run / "checkpoints").exists()
        assert len(pickers) == report.num_pick_groups
        for groups in judged.values():
            assert not groups & pickers
            assert len(groups) == report.baseline.num_groups == 12 - len(pickers)

        # A second launch changes nothing.
        before = {path: path.stat().st_mtime_ns for path in out.rglob("*.csv")}
        again = cook(recipe_file(stages=["baseline", CROPS]), out)
        assert again == report
        assert {path: path.stat().st_mtime_ns for path in out.rglob("*.csv")} == before


class TestDecisions:
    def test_what_gains_is_kept_and_the_next_is_compared_with_it(self, recipe_file: Make, tmp_path: Path) -> None:
        stages = ["baseline", {"name": "guess", "right": True}, {"name": "again", "right": False}]
        report = cook(recipe_file(stages=stages), tmp_path / "out")
        _, guess, again = report.stages
        assert (guess.state, again.state) == ("kept", "not kept")
        assert guess.judged is not None
        assert again.judged is not None
        assert again.judged.before == guess.judged.after
        assert guess.judged.level == pytest.approx(0.975)
        assert report.total is not None
        assert guess.judged.gain is not None
        assert report.total.value == pytest.approx(guess.judged.gain.value)
        assert report.total.low >= guess.judged.gain.low
        assert report.sentences[0].startswith("Kept: guess. Together +")
        assert guess.sentence.startswith("Guess: kept, +")
        assert "(97.5% +" in guess.sentence
        # It is read from the folder by a launch that goes on.
        (tmp_path / "out" / "stages" / "again" / "report.json").unlink()
        assert decisions(cook(recipe_file(stages=stages), tmp_path / "out")) == decisions(report)

    def test_what_gains_nothing_is_not(self, recipe_file: Make, tmp_path: Path) -> None:
        report = cook(recipe_file(stages=["baseline", {"name": "guess", "right": False}]), tmp_path / "out")
        assert report.stages[1].state == "not kept"
        assert report.total is None
        assert report.sentences[0] == "Nothing was kept: the config as given stands."


class TestBudget:
    def test_one_that_holds_no_epoch_is_refused_and_nothing_is_left(
        self, recipe_file: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "seconds_per_image", lambda *_: 600.0)
        line = (
            r"^--budget: 20 s cannot hold the baseline: one epoch of each of its 2 runs takes about \d+ h.* here, and "
        )
        with pytest.raises(UserError, match=line):
            cook(recipe_file(), tmp_path / "out", "20s")
        assert not (tmp_path / "out").exists()

    def test_a_stage_that_it_does_not_hold_is_skipped_and_done_with_a_larger_one(
        self, recipe_file: Make, tmp_path: Path
    ) -> None:
        file = recipe_file(stages=["baseline", {"name": "guess", "cost_s": 7200}])
        report = cook(file, tmp_path / "out", "1h")
        guess = report.stages[1]
        assert (guess.state, guess.note) == ("skipped", "It takes about 7200 s.")
        assert guess.sentence == "Guess: skipped, since the budget does not hold it."
        assert cook(file, tmp_path / "out", "1h") == report
        assert cook(file, tmp_path / "out", "3h").stages[1].state == "kept"

    def test_a_stage_is_planned_with_less_than_there_is(self, recipe_file: Make, tmp_path: Path) -> None:
        file = recipe_file(stages=["baseline", {"name": "guess", "cost_s": 3200}])
        assert cook(file, tmp_path / "out", "1h").stages[1].state == "skipped"

    def test_what_stands_behind_a_skipped_stage_is_done_anew_with_it(self, recipe_file: Make, tmp_path: Path) -> None:
        guess = {"name": "guess", "cost_s": 7200, "changes": {"training.lr": 0.02}}
        again = {"name": "again", "right": True}
        file, out = recipe_file(stages=["baseline", guess, again, {"name": "folds", "num": 2}]), tmp_path / "out"
        assert [stage.state for stage in cook(file, out, "1h").stages] == ["done", "skipped", "kept", "done"]
        report = cook(file, out, "3h")
        assert [stage.state for stage in report.stages] == ["done", "kept", "not kept", "done"]
        assert report.stages[1].judged is not None
        assert report.stages[2].judged is not None
        assert report.stages[2].judged.before == report.stages[1].judged.after
        assert load_config(out / "folds" / "config.yaml").training.lr == 0.02

    def test_a_spent_stage_goes_on_with_more(self, recipe_file: Make, tmp_path: Path) -> None:
        file, out = recipe_file(stages=["baseline", {"name": "guess", "takes_s": 3700}]), tmp_path / "out"
        assert cook(file, out, "1h").stages[1].state == "spent"
        # Less is left now than it has had.
        assert cook(file, out, "130m").stages[1].state == "kept"

    def test_a_spent_baseline_goes_on_with_more(self, recipe_file: Make, tmp_path: Path) -> None:
        file, out = recipe_file(), tmp_path / "out"
        for _ in range(2):
            with pytest.raises(UserError, match=r"^--budget: 1 h were spent before the baseline was done; the same"):
                cook(file, out, "1h", Late("judged run 1", 1))
        assert cook(file, out, "9h").baseline.num_groups

    def test_a_stage_is_ended_where_it_is_spent(self, recipe_file: Make, tmp_path: Path) -> None:
        report = cook(recipe_file(stages=["baseline", {**CROPS, "epochs": 2}]), tmp_path / "out", "1h", Late("top", 1))
        assert (report.stages[1].state, report.changes) == ("spent", {})
        assert report.spent_s > 10_000

    def test_runs_of_an_epoch_are_ended_between_them(self, recipe_file: Make, tmp_path: Path) -> None:
        file, out = recipe_file(stages=["baseline", CROPS]), tmp_path / "out"
        report = cook(file, out, "1h", Late("as it stands", 1))
        assert report.stages[1].state == "spent"
        assert {load_config(run / "config.yaml").data.crop.name for run in (out / "runs").iterdir()} == {"none"}

    def test_the_baseline_is_shortened_to_its_share(
        self, recipe_file: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "seconds_per_image", lambda *_: 1.0)
        # Which a warm-up or a mean of more epochs than are left does not hinder.
        longer = {
            "training.epochs": 9,
            "training.schedule.warmup_epochs": 8,
            "training.keep": {"name": "mean", "epochs": 9},
        }
        report = cook(recipe_file(longer), tmp_path / "out", "30m")
        first = next(
            run for run in (tmp_path / "out" / "runs").iterdir() if load_config(run / "config.yaml").data.test_fold == 0
        )
        sides = pd.read_csv(first / "split.csv")["split"].value_counts()
        epoch_s = sides["train"] + sides["val"] / 3  # answered at a third of the cost of training
        assert report.epochs == int((0.125 * 1800 / 2 - sides["test"] / 3) / epoch_s)  # who judges is answered once
        assert 1 <= report.epochs < 9


class Late(StudyProgress):
    """Hours go by in an epoch."""

    def __init__(self, name: str, epoch: int) -> None:
        self._at = (name, epoch)

    def epoch(self, trial: RunningTrial) -> None:
        if (trial.name, trial.epoch) == self._at:
            go_by(10_000)


class Interrupting(StudyProgress):
    """Ctrl-C after so many epochs."""

    def __init__(self, epochs: int) -> None:
        self._left = epochs

    def epoch(self, trial: RunningTrial) -> None:
        self._left -= 1
        if not self._left:
            raise KeyboardInterrupt


class TestGoingOn:
    STAGES: ClassVar[list[Any]] = ["baseline", CROPS]

    def test_an_interrupted_one_goes_on_with_the_same_decisions(
        self, recipe_file: Make, tmp_path: Path, cooked: tuple[RecipeReport, Path]
    ) -> None:
        file, out, spent = recipe_file(stages=self.STAGES), tmp_path / "out", 0.0
        for epochs in (1, 3, 2):
            with pytest.raises(KeyboardInterrupt):
                cook(file, out, progress=Interrupting(epochs))
            now = sum(json.loads((out / "clock.json").read_text())["stages"].values())
            assert now > spent
            spent = now
        report = cook(file, out)
        assert decisions(report) == decisions(cooked[0])
        assert report.spent_s > spent

    def test_a_killed_one_goes_on_with_the_same_decisions(
        self, recipe_file: Make, tmp_path: Path, cooked: tuple[RecipeReport, Path]
    ) -> None:
        file, out = recipe_file(stages=self.STAGES), tmp_path / "out"
        words = ["-m", "multitask", "recipe", str(file), "-o", str(out), "-q"]
        stops = stops_after("multitask.runs.folder:RunFolder.write_history")
        kill_once_stopped(Forked([sys.executable, *words], env={**os.environ, **stops}))
        assert list(out.glob("runs/*/metrics.jsonl"))
        assert not (out / "report.json").exists()
        assert decisions(cook(file, out)) == decisions(cooked[0])

    def test_another_recipe_config_or_set_is_refused(
        self, recipe_file: Make, cooked: tuple[RecipeReport, Path]
    ) -> None:
        out = cooked[1]
        kept = (out / "report.json").read_bytes()
        others: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
            ("another config", {"training.lr": 0.5}, {}),
            ("other judges", {}, {"judges": {"folds": 3}}),
            ("other stages", {}, {"stages": ["baseline"]}),
        ]
        for what, changes, own in others:
            settings = {"stages": self.STAGES, **own}
            with pytest.raises(UserError, match=rf"its recipe began with {what}; name another --out$"):
                cook(recipe_file(changes, **settings), out)
        assert (out / "report.json").read_bytes() == kept

    def test_a_folder_of_something_else_is_refused(self, recipe_file: Make, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").write_text("mine")
        with pytest.raises(UserError, match=r"exists and is no recipe's folder; name another --out$"):
            cook(recipe_file(), tmp_path / "out")
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]

    def test_more_folds_than_groups_are_refused_before_anything_is_written(
        self, recipe_file: Make, tmp_path: Path
    ) -> None:
        with pytest.raises(UserError, match=r"^judges\.folds: data\.test_folds: 30 were asked for"):
            cook(recipe_file(judges={"folds": 30}), tmp_path / "out")
        with pytest.raises(UserError, match=r"^stages\.folds\.num: 30 were asked for, but there are 12 groups$"):
            cook(recipe_file(stages=["baseline", {"name": "folds", "num": 30}]), tmp_path / "out")
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("settings", "line"),
        [
            ({"detector": "nowhere.onnx"}, r"detector: .*nowhere\.onnx: cannot be read"),
            ({"crops": {"a": {"name": "face", "model": "base.yaml"}}}, r"crops\.a: .*base\.yaml: is not YuNet"),
            ({"crops": {"b": {"name": "box"}}}, r"crops\.b: .*box"),
        ],
    )
    def test_a_crop_that_cannot_be_is_refused_before_anything_is_written(
        self, recipe_file: Make, tmp_path: Path, settings: dict[str, Any], line: str
    ) -> None:
        with pytest.raises(UserError, match=rf"^stages\.crop\.{line}"):
            cook(recipe_file(stages=["baseline", {"name": "crop", **settings}]), tmp_path / "out")
        assert not (tmp_path / "out").exists()
