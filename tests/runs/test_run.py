"""A run: what its folder holds, that it can be repeated, and what is refused before it trains."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from multitask.errors import DivergedError, UserError
from multitask.progress import Progress
from multitask.runs.config import TrainedRun
from multitask.runs.cross_validation import run_folds
from multitask.runs.data_module import DataModule
from multitask.runs.evaluate import evaluate
from multitask.runs.folder import RunFolder
from multitask.runs.run import RunResult, run
from multitask.training.checkpoint import load_checkpoint
from multitask.utils.records import read_json, to_json_data
from tests.runs.same_run import MakeConfig, StoppedError, assert_same_bits, assert_same_run, history, stop_after


def test_run_folder_holds_everything(plain: tuple[Path, RunResult]) -> None:
    path, result = plain
    assert {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()} == {
        "config.yaml",
        "environment.json",
        "data.json",
        "split.csv",
        "metrics.jsonl",
        "decode.json",
        "report.json",
        "predictions-val.csv",
        "checkpoints/best.safetensors",
        "checkpoints/last.safetensors",
    }
    assert [row.epoch for row in result.history] == [1, 2]
    assert result.folder.path == path
    assert result.report is not None
    assert {
        "version",
        "joint",
        "tasks",
        "decode",
        "decode_rules",
        "joint_term",
        "num_images",
        "num_groups",
        "attribution",
        "training",
        "class_distribution",
    } <= set(to_json_data(result.report))
    assert read_json(result.folder.report()) == to_json_data(result.report)
    for figures in (result.report.joint, *result.report.tasks.values()):
        assert figures.macro_f1_ci[0] <= figures.macro_f1 <= figures.macro_f1_ci[1]
        assert figures.accuracy is not None
    best = result.report.training.best_epoch
    assert result.report.joint.macro_f1 == pytest.approx(result.history[best - 1].val.joint_macro_f1)
    assert load_checkpoint(result.folder.best)["epoch"] == best


def test_groups_are_on_one_side_of_the_split(plain: tuple[Path, RunResult]) -> None:
    rows = [line.rsplit(",", 2)[1:] for line in (plain[0] / "split.csv").read_text().splitlines()[1:]]
    sides = {side: {group for group, where in rows if where == side} for side in ("train", "val")}
    assert sides["train"]
    assert sides["val"]
    assert not sides["train"] & sides["val"]


@pytest.mark.parametrize(
    "how", [{}, {"data.folds": 3, "data.fold": 1, "data.val_fraction": 0.2}], ids=["held out", "folds"]
)
def test_split_has_the_runs_seed_or_one_of_its_own(how: dict[str, Any], tiny: MakeConfig) -> None:
    def validating(seed: int, split_seed: int | None) -> list[int]:
        config = tiny({"seed": seed, "data.split_seed": split_seed, **how})
        return DataModule(config).split.val.tolist()

    assert validating(0, 5) == validating(1, 5) == validating(5, None)
    assert validating(0, None) == validating(1, 0) != validating(1, None)


def test_two_runs_of_one_config_give_the_same_numbers(
    plain: tuple[Path, RunResult], tiny: MakeConfig, tmp_path: Path
) -> None:
    torch.manual_seed(12345)  # whatever the process did before
    run(tiny(), tmp_path / "again")
    assert_same_run(plain[0], tmp_path / "again")


def test_trackers_are_told_everything_and_change_nothing(
    plain: tuple[Path, RunResult], tiny: MakeConfig, tmp_path: Path
) -> None:
    tracked = tiny({"tracking": ["csv", {"name": "mlflow", "uri": "http://127.0.0.1:9"}]})
    with pytest.raises(StoppedError), pytest.warns(RuntimeWarning, match="tracking: mlflow failed"):
        run(tracked, tmp_path / "run", on_epoch=stop_after(1))
    run(tiny({"tracking": ["csv"]}), tmp_path / "run", resume=True)  # others may be told from here on
    for name in ("best", "last"):
        states = [
            load_checkpoint(folder / f"checkpoints/{name}.safetensors") for folder in (plain[0], tmp_path / "run")
        ]
        assert_same_bits(*states)
    report = plain[1].report
    assert report is not None
    rows = list(csv.DictReader((tmp_path / "run/tracking.csv").read_text().splitlines()))
    told = {(row["epoch"], row["name"]): float(row["value"]) for row in rows}
    assert len(told) == len(rows)
    assert told["", "report/joint/macro_f1"] == report.joint.macro_f1
    for record in plain[1].history:
        assert record.val is not None
        assert told[str(record.epoch), "val/joint/macro_f1"] == record.val.joint_macro_f1


def test_another_seed_gives_other_numbers(plain: tuple[Path, RunResult], tiny: MakeConfig) -> None:
    other = run(tiny({"seed": 1}))
    assert other.history[0].train.loss != plain[1].history[0].train.loss


def test_workers_change_nothing(plain: tuple[Path, RunResult], tiny: MakeConfig, tmp_path: Path) -> None:
    run(tiny({"data.workers": 2}), tmp_path / "two")
    for name in ("best", "last"):
        states = [
            load_checkpoint(folder / f"checkpoints/{name}.safetensors") for folder in (plain[0], tmp_path / "two")
        ]
        assert_same_bits(*states)


def test_without_a_folder_nothing_is_left_behind(
    plain: tuple[Path, RunResult], tiny: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    result = run(tiny())
    assert list(tmp_path.iterdir()) == []
    assert not result.folder.path.exists()
    assert result.report is not None
    assert plain[1].report is not None
    assert result.report.joint == plain[1].report.joint


def test_without_validation_all_train_and_nobody_is_reported_on(tiny: MakeConfig, tmp_path: Path) -> None:
    result = run(tiny({"data.val_fraction": 0.0, "training.epochs": 1}), tmp_path / "run")
    assert result.report is None
    assert result.history[0].val is None
    assert not (tmp_path / "run" / "report.json").exists()
    assert "val" not in {line.rsplit(",", 1)[1] for line in (tmp_path / "run" / "split.csv").read_text().splitlines()}
    assert load_checkpoint(result.folder.best)["epoch"] == 1


def test_flat_run_reports_every_task(tiny: MakeConfig) -> None:
    result = run(tiny({"model.sharing.name": "flat", "training.epochs": 1}))
    assert result.report is not None
    assert set(result.report.tasks) == {"mask", "gender", "age"}
    assert set(result.history[0].train.tasks) == {"class"}
    assert set(result.history[0].val.tasks) == {"mask", "gender", "age"}


def test_only_some_groups_train_and_the_others_are_written_down_as_unused(tiny: MakeConfig, tmp_path: Path) -> None:
    once = {"training.epochs": 1, "training.schedule.warmup_epochs": 0}
    run(tiny({**once, "data.train_groups": 4}), tmp_path / "run")
    rows = [line.split(",") for line in (tmp_path / "run" / "split.csv").read_text().splitlines()[1:]]
    groups = {side: {group for _, group, where in rows if where == side} for side in ("train", "val", "unused")}
    assert len(groups["train"]) == 4
    assert len(set.union(*groups.values())) == sum(map(len, groups.values())) == 12
    assert len(groups["unused"]) == 3
    assert groups["val"] == set(DataModule(tiny()).samples.groups[DataModule(tiny()).split.val])
    distribution = json.loads((tmp_path / "run" / "report.json").read_text())["class_distribution"]
    assert distribution["train"]["num_groups"] == 4
    with pytest.raises(UserError, match=r"^data\.train_groups: 99 were asked for, but there are 7 to train$"):
        run(tiny({"data.train_groups": 99}), tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("target", ["whole", None])
def test_a_flat_head_learns_from_a_source_that_labels_some_tasks(
    tiny: MakeConfig, tmp_path: Path, target: str | None
) -> None:
    part: dict[str, Any] = {"root": tiny().data.root, "source": {"name": "competition"}}
    source = {"name": "several", "sources": {"whole": part, "some": {**part, "tasks": ["age"]}}, "target": target}
    changes = {"model.sharing.name": "flat", "training.epochs": 1, "data.source": source, "data.root": ""}
    report = run(tiny(changes), tmp_path / "run").report
    assert report.joint is not None
    assert (tmp_path / "run" / "decode.json").is_file()
    trained = TrainedRun(RunFolder(tmp_path / "run"), tiny(changes))
    assert evaluate(trained, "val", Progress()).joint == report.joint
    assert evaluate(trained, "train", Progress()).tasks["age"].macro_f1 is not None


@pytest.mark.parametrize("num_folds", [None, 2])
def test_a_file_that_trains_and_is_scored_is_told_once(num_folds: int | None, tiny: MakeConfig, tmp_path: Path) -> None:
    rows = ["path,mask,gender,age"]
    for place in range(12):  # six images twice each
        pixels = np.random.default_rng(place % 6).integers(0, 255, (32, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{place}.png")
        rows.append(f"{place}.png,{('wear', 'incorrect')[place % 2]},{('male', 'female')[place // 2 % 2]},{20 + place}")
    (tmp_path / "train.csv").write_text("\n".join(rows), encoding="utf-8")
    said: list[str] = []

    class Noting(Progress):
        def note(self, text: str) -> None:
            said.append(text)

    changes = {"data.root": str(tmp_path), "data.source": {"name": "table"}, "data.val_fraction": 0.2, "seed": 1}
    out, config = tmp_path / "run", tiny({**changes, "training.epochs": 1})
    if num_folds is None:
        run(config, out, progress=Noting())
    else:
        run_folds(config, num_folds, out, progress=Noting())
    assert len({text for text in said if " there to the byte on both sides of the split, as " in text}) == 1


@pytest.mark.parametrize("sharing", ["shared", "flat"])
@pytest.mark.parametrize("weights", ["inverse_frequency", "effective_number"])
def test_held_out_cells_do_not_train_and_are_reported(
    sharing: str, weights: str, tiny: MakeConfig, tmp_path: Path
) -> None:
    head = "class" if sharing == "flat" else "age"
    cell = {"mask": "incorrect", "gender": "female"}
    loss = {"class_weights": weights, "smoothing": 0.1}
    config = tiny({"model.sharing.name": sharing, f"heads.{head}.loss": loss, "data.held_out": [cell]})
    report = run(config, tmp_path / "run").report
    assert report is not None
    unseen, names = report.unseen, config.space().class_names
    assert [row.name for row in unseen.classes] == [names[index] for index in (6 + 3, 6 + 4, 6 + 5)]
    assert unseen.num_images == sum(row.support for row in unseen.classes) > 0
    assert report.class_distribution["train"].joint[9:12] == (0, 0, 0)
    assert sum(report.class_distribution["val"].joint[9:12]) == unseen.num_images
    assert 0 <= unseen.macro_f1 <= 1
    f1 = [row.f1 for row in report.joint.classes]
    assert unseen.macro_f1 == pytest.approx(sum(f1[9:12]) / 3)
    assert unseen.seen_macro_f1 == pytest.approx((sum(f1) - sum(f1[9:12])) / 15)


def test_what_on_epoch_raises_ends_the_run(tiny: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        run(tiny(), tmp_path / "run", on_epoch=stop_after(1))
    assert len(history(tmp_path / "run")) == 1
    assert not (tmp_path / "run" / "report.json").exists()


def test_diverging_run_names_head_and_batch_and_keeps_the_last_good_epoch(tiny: MakeConfig, tmp_path: Path) -> None:
    good = {"training.schedule": {"name": "step", "factor": 1.0, "warmup_epochs": 0}}
    config = tiny({**good, "training.lr": 1e6, "training.clip_norm": None})
    with pytest.raises(DivergedError, match=r"^heads\.(mask|gender|age): the loss is (nan|inf) at batch \d of epoch 1"):
        run(config, tmp_path / "run")
    assert not list((tmp_path / "run" / "checkpoints").iterdir())
    assert not (tmp_path / "run" / "report.json").exists()


def test_existing_run_is_refused_and_untouched(plain: tuple[Path, RunResult], tiny: MakeConfig) -> None:
    before = {file: file.stat().st_mtime_ns for file in plain[0].rglob("*")}
    with pytest.raises(UserError, match="holds a run already; continue it with --resume"):
        run(tiny(), plain[0])
    assert {file: file.stat().st_mtime_ns for file in plain[0].rglob("*")} == before


def test_mistake_found_before_training_leaves_no_folder(tiny: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no synthetic set"):
        run(tiny({"data.root": str(tmp_path / "absent")}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_those_who_pick_are_scored_after_each_epoch_and_those_who_validate_are_reported(
    tiny: MakeConfig, tmp_path: Path
) -> None:
    picking = {"data.pick_fraction": 0.3, "training.keep.name": "best"}
    result = run(tiny(picking), tmp_path / "run")
    rows = [line.rsplit(",", 2) for line in (tmp_path / "run/split.csv").read_text().splitlines()[1:]]
    sides = {side: {group for _, group, where in rows if where == side} for side in ("train", "val", "pick")}
    assert all(sides.values())
    assert not sides["pick"] & (sides["train"] | sides["val"])
    answered = {line.split(",")[1] for line in (tmp_path / "run/predictions-val.csv").read_text().splitlines()[1:]}
    assert answered == sides["val"]
    assert result.report is not None
    assert result.report.training.kept == "best joint.macro_f1, picked by 0.3 of the groups that train"
    again = evaluate(TrainedRun(result.folder, tiny(picking)), "val", Progress())
    assert again.joint == result.report.joint
    best = result.report.training.best_epoch
    assert load_checkpoint(result.folder.best)["epoch"] == best


@pytest.mark.parametrize(("name", "words"), [("last", "last epoch"), ("mean", "mean of the last 2 epochs")])
def test_the_report_says_what_was_kept(name: str, words: str, tiny: MakeConfig, tmp_path: Path) -> None:
    keep = {"name": name, **({"epochs": 2} if name == "mean" else {})}
    result = run(tiny({"training.keep": keep}), tmp_path / "run")
    assert result.report is not None
    assert (result.report.training.kept, result.report.training.monitor) == (words, None)
    assert result.report.training.best_epoch == 2
    assert result.history[-1].val is not None
    assert result.report.joint.macro_f1 == pytest.approx(result.history[-1].val.joint_macro_f1)
    without = run(tiny({"training.keep": keep, "data.val_fraction": 0}), tmp_path / "without")
    assert without.report is None
    assert load_checkpoint(without.folder.best)["epoch"] == 2


def test_consistency_is_told_and_changes_what_is_learned(tiny: MakeConfig, tmp_path: Path) -> None:
    changes = {
        "labels.tasks.gender.per_group": True,
        "data.sampler": {"name": "per_group", "num": 2, "of": "group", "together": True},
    }
    without, some, more = (
        run(tiny({**changes, "training.consistency": settings})).history[1].train
        for settings in (None, {"weight": 1e-6}, {"weight": 50.0})
    )
    assert without.consistency is None
    assert set(some.consistency) == set(more.consistency) == {"gender", "age"}
    assert without.loss == pytest.approx(some.loss, abs=1e-3)
    assert some.tasks["gender"].loss != more.tasks["gender"].loss


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"labels.tasks.gender.per_group": True, "data.sampler": {"name": "per_group", "of": "group"}},
            r"^training\.consistency: would be ignored: no batch holds two images of a group; set data\.sampler to",
        ),
        (
            {f"labels.tasks.{task}.per_group": False for task in ("mask", "gender", "age")},
            r"^training\.consistency: needs a task whose label belongs to the group, but none is declared",
        ),
    ],
)
def test_a_consistency_that_would_compare_nothing_is_refused(
    changes: dict[str, Any], line: str, tiny: MakeConfig, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=line):
        run(tiny({"training.consistency": {}, **changes}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_step_of_more_batches_than_an_epoch_has_is_refused(tiny: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"training.accumulate: must be at most the number of batches in an epoch"):
        run(tiny({"training.accumulate": 5000}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_one_image_alone_of_which_batch_norm_sees_one_value_is_refused(tiny: MakeConfig, tmp_path: Path) -> None:
    small = {"training.batch_size": 1, "training.epochs": 1, "data.image_size": [32, 24]}
    with pytest.raises(UserError, match=r"^training.batch_size: 1 leaves one of \d+ images alone .*batch norm"):
        run(tiny(small), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    run(tiny({**small, "data.image_size": [64, 48], "data.train_groups": 4}), tmp_path / "run")
