"""Whole bake-offs of real runs, from the file to the report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from multitask.bakeoff import bakeoff as module
from multitask.bakeoff import runs
from multitask.bakeoff.bakeoff import answering_digest, run_bakeoff
from multitask.bakeoff.folder import BakeoffFolder
from multitask.bakeoff.plan import load_bakeoff
from multitask.bakeoff.report import read_bakeoff_report
from multitask.config import Config, load_config
from multitask.errors import DivergedError, UserError
from multitask.progress import StudyProgress, SweepStatus
from multitask.reporting.bakeoff.report_schema import BakeoffReport, FailedContender
from multitask.runs.build import TrainingSetup
from multitask.runs.folder import RunFolder
from multitask.runs.records import RunEnvironment
from multitask.runs.run import run
from multitask.utils.records import read_record, to_json_data

Make = Callable[..., Path]


class Listener(StudyProgress):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.view: SweepStatus | None = None

    def begin(self, view: SweepStatus) -> None:
        self.view = view

    def ended(self, text: str, kind: str) -> None:
        self.lines.append(text)


def bake(file: Path, out: Path, *overrides: str) -> tuple[BakeoffReport, Listener]:
    listener = Listener()
    return run_bakeoff(load_bakeoff(file, overrides), BakeoffFolder(out), listener), listener


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The run folders that are trained from here on."""
    trained: list[Path] = []

    def counting(config: Config, out: Path, **more: Any) -> Any:
        trained.append(out)
        return run(config, out, **more)

    monkeypatch.setattr(runs, "run", counting)
    return trained


class TestWhole:
    @pytest.fixture
    def baked(self, bakeoff_file: Make, tmp_path: Path) -> tuple[BakeoffReport, Path]:
        file = bakeoff_file(folds=2, seeds=4, axis={"groups": [3, "all"]})
        return bake(file, tmp_path / "out")[0], tmp_path / "out"

    def test_it_says_everything_of_everyone(self, baked: tuple[BakeoffReport, Path]) -> None:
        report, out = baked
        assert read_record(out / "report.json", BakeoffReport) == report
        assert json.loads((out / "report.json").read_text()) == to_json_data(report)
        assert {path.name for path in out.iterdir()} == {
            ".lock", "bakeoff.yaml", "bakeoff.html", "costs.json", "report.json", "flat", "shared",
        }  # fmt: skip
        assert (report.reference, report.num_passes, report.axis) == ("flat", 2, (3, "all"))
        # A sentence of the comparison, and one of the axis.
        assert len(report.sentences) == 2
        assert "shared" in report.sentences[0]
        assert "training groups" in report.sentences[1]
        for point in report.points:
            assert point.num_groups == 12
            for name, row in point.scored.items():
                assert len(row.runs) == 4
                assert row.joint is not None
                assert len(row.joint.passes) == 2
                assert row.joint.value == pytest.approx(np.mean(row.joint.passes))
                assert set(row.tasks) == {"mask", "gender", "age"}
                assert row.joint.ci[0] <= row.joint.value <= row.joint.ci[1]
                assert (row.difference is None) == (name == "flat")
            gap = point.scored["shared"].difference
            assert gap is not None
            values = [point.scored[name].joint.value for name in ("shared", "flat")]
            assert gap.value == pytest.approx(values[0] - values[1])
            one, other = point.matrix["shared"]["flat"], point.matrix["flat"]["shared"]
            assert one is not None
            assert other is not None
            assert one.value == pytest.approx(gap.value)
            assert other.value == pytest.approx(-gap.value)
            assert point.matrix["flat"]["flat"] is None

        # Every group is answered once a pass, by a network that did not learn from it.
        for name in ("flat", "shared"):
            for index in range(4):
                folder = out / name / "3" / str(index)
                split = pd.read_csv(folder / "split.csv", dtype=str).set_index("image")["split"]
                answered = pd.read_csv(folder / "predictions-val.csv", dtype=str)
                assert (split[answered["image"]] == "val").all()
                assert not (folder / "checkpoints").exists()
        halves = [set(pd.read_csv(out / "flat" / "all" / i / "predictions-val.csv", dtype=str)["group"]) for i in "01"]
        assert not halves[0] & halves[1]
        assert len(halves[0] | halves[1]) == 12

        # The axis is the number of groups to train, a few of the many.
        trained = [[row.train_groups for row in point.scored["flat"].runs] for point in report.points]
        assert trained == [[3] * 4, [6] * 4]

    def test_a_run_of_it_is_that_of_its_config(self, baked: tuple[BakeoffReport, Path], tmp_path: Path) -> None:
        folder = RunFolder(baked[1] / "shared" / "all" / "1")
        alone = run(load_config(folder.config), tmp_path / "alone").folder
        assert alone.predictions().read_text() == folder.predictions().read_text()


class TestBudget:
    def test_images_make_the_epochs_also_where_few_train(self, bakeoff_file: Make, tmp_path: Path) -> None:
        # Six people have some 42 images.
        file = bakeoff_file({"training.epochs": 7}, folds=2, axis={"groups": [2, "all"]}, budget={"images": 100})
        report, _ = bake(file, tmp_path / "out")
        for point in report.points:
            for row in point.scored.values():
                for place, one in enumerate(row.runs):
                    history = RunFolder(tmp_path / "out" / "flat" / str(point.point) / str(place)).read_history()
                    assert len(history) == 100 // one.train_images
                assert 100 - max(one.train_images for one in row.runs) < row.images_seen <= 100
        few, all_ = (point.scored["flat"].epochs[0] for point in report.points)
        assert few > 2 * all_

    def test_less_than_one_epoch_is_refused_before_anything_is_written(
        self, bakeoff_file: Make, tmp_path: Path
    ) -> None:
        plan = load_bakeoff(bakeoff_file(folds=2, budget={"images": 5}))
        with pytest.raises(UserError, match=r"^budget\.images: 5 is less than one epoch, which has \d+ images$"):
            run_bakeoff(plan, BakeoffFolder(tmp_path / "out"), StudyProgress())
        assert not (tmp_path / "out").exists()

    def test_seconds_make_the_epochs_by_the_measured_speed_and_keep_them(
        self, bakeoff_file: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: list[Path]
    ) -> None:
        measured = []

        def speed(setup: TrainingSetup) -> float:
            measured.append(setup)
            return 100.0 if len(setup.data.learned.tasks) == 1 else 10.0

        monkeypatch.setattr(module, "training_speed", speed)
        file = bakeoff_file(seeds=1, budget={"seconds": 2.0})
        report, _ = bake(file, tmp_path / "out")
        rows = report.points[0].scored
        images = rows["flat"].runs[0].train_images
        assert rows["flat"].epochs == (200 // images,)
        assert rows["shared"].epochs == (1,)  # less than one would be none
        assert (len(measured), len(counted)) == (2, 2)
        bake(file, tmp_path / "out")
        assert (len(measured), len(counted)) == (2, 2)


class TestTuning:
    def test_every_contender_tries_the_same_and_keeps_its_best(
        self, bakeoff_file: Make, tmp_path: Path, counted: list[Path]
    ) -> None:
        file = bakeoff_file(seeds=1, tune={"training.lr": [1e-9, 3e-3]})
        report, _ = bake(file, tmp_path / "out")
        assert len(counted) == 2 * 2 + 2
        for row in report.contenders:
            assert [one.values["training.lr"] for one in row.tuning] == [1e-9, 3e-3]
            best = max(row.tuning, key=lambda one: -1 if one.score is None else one.score)
            assert row.tuned == best.values
            used = load_config(tmp_path / "out" / row.name / "all" / "0" / "config.yaml")
            tried = load_config(tmp_path / "out" / row.name / "tune" / "0" / "config.yaml")
            assert used.training.lr == row.tuned["training.lr"]
            assert tried.data.split_seed != used.data.split_seed


def test_classes_never_trained_on_are_scored_over_all_groups(bakeoff_file: Make, tmp_path: Path) -> None:
    cell = {"mask": "incorrect", "gender": "female"}
    report, _ = bake(bakeoff_file({"data.held_out": [cell], "data.val_fraction": 0.4}, seeds=1), tmp_path / "out")
    for name, row in report.points[0].scored.items():
        single = RunFolder(tmp_path / "out" / name / "all" / "0").read_report().unseen
        assert row.unseen is not None
        assert row.unseen.value == pytest.approx(single.macro_f1)  # one run: its groups are all there are
    plain, _ = bake(bakeoff_file(name="plain"), tmp_path / "plain")
    assert all(row.unseen is None for row in plain.points[0].scored.values())


class TestDecodeRules:
    CONTENDERS = {"shared": None, "again": {"overrides": {"decode": {"name": "class_bias"}}}}

    def test_contenders_that_differ_in_nothing_else_are_trained_once(
        self, bakeoff_file: Make, tmp_path: Path, counted: list[Path]
    ) -> None:
        report, listener = bake(bakeoff_file(contenders=self.CONTENDERS), tmp_path / "out")
        assert [path.parent.parent.name for path in counted] == ["shared", "shared"]
        assert [row.answered_from for row in report.contenders] == [None, "shared"]
        assert any("answered again" in line for line in listener.lines)
        out = tmp_path / "out"
        one, two = (pd.read_csv(out / name / "all" / "0" / "predictions-val.csv") for name in ("shared", "again"))
        assert (one["predicted"] != two["predicted"]).any()
        same = [column for column in one if column != "predicted"]
        pd.testing.assert_frame_equal(one[same], two[same])
        # What was answered again is a run like any other.
        folder = RunFolder(out / "again" / "all" / "0")
        assert folder.read_report().decode["name"] == "class_bias"
        assert load_config(folder.config).decode.name == "class_bias"
        assert len(folder.read_history()) == 1
        memory = [row.training_memory for row in report.contenders]
        assert memory[0] == memory[1]
        bake(bakeoff_file(contenders=self.CONTENDERS), out)
        assert len(counted) == 2


class TestGoingOn:
    def test_what_is_done_is_kept_and_what_changed_is_done_again(
        self, bakeoff_file: Make, tmp_path: Path, counted: list[Path]
    ) -> None:
        out = tmp_path / "out"
        first, _ = bake(bakeoff_file(), out)
        assert len(counted) == 4
        second, listener = bake(bakeoff_file(), out)
        assert len(counted) == 4
        assert second == first
        assert listener.view is not None
        assert listener.view.finished == 4
        # One contender changes, one comes, a seed comes; the others' finished runs stay.
        contenders = {
            "flat": {"overrides": {"model.sharing.name": "flat"}},
            "shared": {"overrides": {"training.lr": 0.01}},
            "third": {"overrides": {"augment.strength": 0.0}},
        }
        third, _ = bake(bakeoff_file(contenders=contenders, seeds=3), out)
        done = [(path.parts[-3], path.parts[-1]) for path in counted[4:]]
        assert sorted(done) == [("flat", "2"), *(("shared", i) for i in "012"), *(("third", i) for i in "012")]
        assert third.points[0].scored["flat"].runs[:2] == first.points[0].scored["flat"].runs
        assert third.created == first.created

    def test_a_run_that_was_interrupted_goes_on_from_its_last_epoch(
        self, bakeoff_file: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = bakeoff_file({"training.epochs": 3}, seeds=1)
        plan = load_bakeoff(file)

        class Interrupting(Listener):
            def epoch(self, trial: Any) -> None:
                if trial.epoch == 2:
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_bakeoff(plan, BakeoffFolder(tmp_path / "out"), Interrupting())
        folder = RunFolder(tmp_path / "out" / "flat" / "all" / "0")
        kept = [row.seconds for row in folder.read_history()]
        assert len(kept) == 2
        with pytest.raises(UserError, match="has no report yet"):
            read_bakeoff_report(tmp_path / "out")
        report, _ = bake(file, tmp_path / "out")
        assert [row.seconds for row in folder.read_history()][:2] == kept
        # The outcome is that of one that was never stopped.
        whole, _ = bake(file, tmp_path / "whole")
        for name in ("flat", "shared"):
            assert report.points[0].scored[name].joint == whole.points[0].scored[name].joint

    def test_another_bakeoff_other_data_and_other_classes_are_refused(
        self, bakeoff_file: Make, tmp_path: Path, drawn: Path
    ) -> None:
        out = tmp_path / "out"
        data = tmp_path / "data"
        shutil.copytree(drawn, data)
        set_root = f"data.root={data}"
        bake(bakeoff_file(seeds=1), out, set_root)
        kept = (out / "report.json").read_bytes()
        with pytest.raises(UserError, match="holds the bake-off 'tiny', not 'other'; name another --out"):
            bake(bakeoff_file(seeds=1, name="other"), out, set_root)
        edges = {"labels.tasks.age.edges": [20, 50]}
        with pytest.raises(UserError, match="of other tasks or classes; name another --out"):
            bake(bakeoff_file(edges, seeds=1), out, set_root)
        image = next((data / "train" / "images").rglob("*.jpg"))
        image.write_bytes(image.read_bytes() + b" ")
        with pytest.raises(UserError, match=r"is not the data that the bake-off in .* began with"):
            bake(bakeoff_file(seeds=1), out, set_root)
        assert (out / "report.json").read_bytes() == kept

    def test_a_folder_of_something_else_is_refused(self, bakeoff_file: Make, tmp_path: Path) -> None:
        out = tmp_path / "out"
        out.mkdir()
        (out / "notes.txt").write_text("mine")
        with pytest.raises(UserError, match="exists and is no bake-off's folder"):
            bake(bakeoff_file(), out)
        assert [path.name for path in out.iterdir()] == ["notes.txt"]

    def test_two_launches_do_not_work_on_one(self, bakeoff_file: Make, tmp_path: Path) -> None:
        with (
            BakeoffFolder(tmp_path / "out").locked(),
            pytest.raises(UserError, match="another launch is at work on this bake-off"),
        ):
            bake(bakeoff_file(), tmp_path / "out")


class TestFailing:
    @pytest.fixture
    def diverging(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Names of contenders whose loss is no number any more."""
        names: list[str] = []

        def failing(config: Config, out: Path, **more: Any) -> Any:
            if out.parent.parent.name in names:
                out.mkdir(parents=True, exist_ok=True)
                RunFolder(out).create(config.to_yaml(), RunEnvironment())
                raise DivergedError("heads.age: the loss is nan")
            return run(config, out, **more)

        monkeypatch.setattr(runs, "run", failing)
        return names

    def test_a_contender_that_diverges_is_told_and_the_others_are_compared(
        self, bakeoff_file: Make, tmp_path: Path, diverging: list[str]
    ) -> None:
        contenders = {
            "a": None,
            "b": {"overrides": {"training.lr": 0.01}},
            "c": {"overrides": {"augment.strength": 0.0}},
        }
        diverging.append("b")
        file = bakeoff_file(contenders=contenders, seeds=1, sentence_if_none="all the same")
        report, listener = bake(file, tmp_path / "out")
        assert "b has no score: heads.age: the loss is nan." in report.sentences
        assert not any("All the same" in sentence for sentence in report.sentences)  # nobody knows
        assert any(sentence.startswith("c ") for sentence in report.sentences)
        assert report.points[0].failures["b"] == "heads.age: the loss is nan"
        assert isinstance(report.points[0].contenders["b"], FailedContender)
        assert (tmp_path / "out" / "bakeoff.html").is_file()
        assert any("b, seed 0: failed" in line for line in listener.lines)

    def test_without_a_reference_there_is_no_comparison(
        self, bakeoff_file: Make, tmp_path: Path, diverging: list[str]
    ) -> None:
        diverging.append("flat")
        with pytest.raises(UserError, match=r"contenders\.flat: the reference failed, .*: heads\.age: the loss is nan"):
            bake(bakeoff_file(seeds=1), tmp_path / "out")

    def test_any_other_error_ends_it_and_names_the_run(
        self, bakeoff_file: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*words: Any, **more: Any) -> Any:
            raise UserError("the disk is full")

        monkeypatch.setattr(runs, "run", broken)
        with pytest.raises(UserError, match=r"^flat, seed 0: the disk is full$"):
            bake(bakeoff_file(seeds=1), tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "alike"),
    [
        ({"training.keep": {"name": "mean", "epochs": 2}, "data.pick_fraction": 0.2}, True),
        ({"training.monitor": "joint.loss", "training.lr": 0.5, "training.patience": 2}, True),
        ({"data.sampler": {"name": "groups_balanced"}, "balancer.name": "uncertainty", "augment.strength": 0.9}, True),
        ({"data.image_size": [40, 30]}, False),
        ({"training.batch_size": 5}, False),
        ({"heads.age.net": {"name": "attention"}}, False),
        ({"model.sharing.name": "flat"}, False),
    ],
)
def test_contenders_that_differ_in_training_alone_answer_equally_fast(
    tiny: Callable[..., Config], changes: dict[str, Any], alike: bool
) -> None:
    assert (answering_digest(tiny(changes)) == answering_digest(tiny({}))) is alike
