from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from multitask.config import Config, load_config
from multitask.data.images import Preprocessing
from multitask.errors import DivergedError, UserError
from multitask.model.encoder import Encoded
from multitask.model.feature_rows import FeatureRows
from multitask.progress import EpochRecord, Progress
from multitask.runs.config import TrainedRun, read_run
from multitask.runs.data_module import DataModule
from multitask.runs.evaluate import evaluate
from multitask.runs.folder import RunFolder
from multitask.runs.networks import load_network
from multitask.runs.run import RunResult, run
from multitask.training.checkpoint import load_checkpoint
from multitask.utils.records import read_json, to_json_data
from tests.conftest import SHARED, needs_shared
from tests.processes import Forked

import timm  # isort: skip  (after multitask, which makes it importable)

MakeConfig = Callable[..., Config]
TIMES = ("seconds", "images_per_s")


class StoppedError(Exception):
    """What a caller's ``on_epoch`` raises to end a run."""


def stop_after(epoch: int) -> Callable[[dict[str, Any]], None]:
    def on_epoch(record: EpochRecord) -> None:
        if record.epoch == epoch:
            raise StoppedError

    return on_epoch


def history(folder: Path) -> list[dict[str, Any]]:
    """``metrics.jsonl`` without its times."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def report(folder: Path) -> dict[str, Any]:
    """``report.json`` without what differs between two runs of one config: name and times."""
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    for key in ("run", "created"):
        found.pop(key)
    found["training"].pop("seconds")
    return found


def assert_same_bits(one: Any, other: Any, path: str = "") -> None:
    assert type(one) is type(other), path
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype, path
        assert torch.equal(one, other), path
    elif isinstance(one, dict):
        assert list(one) == list(other), path
        for key in one:
            if key not in TIMES:
                assert_same_bits(one[key], other[key], f"{path}/{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), path
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same_bits(a, b, f"{path}/{index}")
    else:
        assert one == other, path


def assert_same_run(one: Path, other: Path) -> None:
    for name in ("best", "last"):
        states = [load_checkpoint(folder / "checkpoints" / f"{name}.safetensors") for folder in (one, other)]
        assert_same_bits(*states, name)
    assert history(one) == history(other)
    assert report(one) == report(other)
    for name in ("split.csv", "predictions-val.csv", "config.yaml", "data.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def kill_when(process: subprocess.Popen[str], name: str, reached: Callable[[], bool], wait_s: float) -> None:
    """Kills a process so long after a moment, ``name`` in words, is reached; it must not have ended before."""
    deadline = time.monotonic() + 120
    while not reached():
        assert process.poll() is None, (name, process.communicate())
        assert time.monotonic() < deadline, name
        time.sleep(0.001)
    time.sleep(wait_s)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, f"the run ended before it was killed {name}"


@pytest.fixture(scope="module")
def plain(tiny: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    """A run of two epochs; not to be written to."""
    path = tmp_path_factory.mktemp("plain") / "run"
    return path, run(tiny(), path)


# --- what a run gives -------------------------------------------------------------------------------------------


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
    with pytest.raises(StoppedError):
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


# --- how a run ends ---------------------------------------------------------------------------------------------


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


# --- going on ---------------------------------------------------------------------------------------------------


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "average, accumulation, mixing": {
        "training.ema": {"decay": 0.9},
        "training.accumulate": 2,
        "augment.mix": {"mixup_prob": 0.5, "cutmix_prob": 0.5},
        "heads.age.loss": {"name": "focal", "class_weights": "effective_number", "smoothing": 0.1},
        "heads.gender.net": {"name": "mlp", "hidden": 16, "dropout": 0.3},
    },
    "frozen whole": {"model.backbone.freeze": "all", "training.ema": {"decay": 0.9}},
    "separate, average": {"model.sharing.name": "separate", "training.ema": {"decay": 0.9}, "joint": {}},
    "branch, frozen stages, layer decay": {
        "model.sharing": {"name": "branch", "at": "layer2", "groups": [["mask"], ["gender", "age"]]},
        "model.backbone.freeze": 2,
        "training.optimizer.layer_decay": 0.7,
        "training.ema": {"decay": 0.9},
        "heads.mask.net": "attention",
        "heads.age.net": {"name": "coral", "dropout": 0.2},
        "joint": {},
    },
    "mean of the last epochs, picking groups": {
        "training.ema": {"decay": 0.9},
        "training.keep": {"name": "mean", "epochs": 2},
        "data.pick_fraction": 0.3,
    },
    "consistency": {
        "labels.tasks.gender.per_group": True,
        "training.consistency": {"weight": 0.5},
        "data.sampler": {"name": "per_group", "num": 2, "of": "group", "together": True},
    },
    "lower bound": {"training.keep.name": "lower_bound", "training.patience": 2},
    "mean, frozen stages": {"model.backbone.freeze": 2, "training.keep": {"name": "mean", "epochs": 2}},
    "branch for each task": {"model.sharing": {"name": "branch", "at": "layer1"}, "heads.age.net": "corn"},
    "frozen stages, layer decay, flat": {
        "model.backbone.freeze": 2,
        "training.optimizer.layer_decay": 0.7,
        "model.sharing.name": "flat",
    },
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "test_resnet.pth"
    torch.manual_seed(3)
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    return str(path)


@pytest.mark.parametrize("variant", VARIANTS)
def test_resumed_run_is_that_of_one_never_stopped(variant: str, tiny: MakeConfig, weights: str, tmp_path: Path) -> None:
    config = tiny({"training.epochs": 3, "model.backbone.weights": weights, **VARIANTS[variant]})
    run(config, tmp_path / "whole")
    with pytest.raises(StoppedError):
        run(config, tmp_path / "parts", on_epoch=stop_after(1))
    torch.manual_seed(999)
    result = run(config, tmp_path / "parts", resume=True)
    assert [row.epoch for row in result.history] == [1, 2, 3]
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_frozen_run_that_was_stopped_answers_as_one_that_ended_there(
    tiny: MakeConfig, weights: str, tmp_path: Path
) -> None:
    changes = {"model.backbone.weights": weights, "model.backbone.freeze": "all", "training.schedule.name": "step"}
    run(tiny({**changes, "training.epochs": 2}), tmp_path / "ended")
    config = tiny({**changes, "training.epochs": 4})
    with pytest.raises(StoppedError):
        run(config, tmp_path / "stopped", on_epoch=stop_after(2))
    states = [load_network(read_run(tmp_path / name)).network.state_dict() for name in ("ended", "stopped")]
    assert_same_bits(*(dict(state) for state in states))
    sizes = [(tmp_path / name / "checkpoints" / "best.safetensors").stat().st_size for name in ("ended", "stopped")]
    assert sizes[1] < sizes[0] / 2, "what is frozen is not written with every epoch"


def test_resuming_with_other_frozen_weights_is_refused(tiny: MakeConfig, weights: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    shutil.copy(weights, path)
    config = tiny({"model.backbone.weights": str(path), "model.backbone.freeze": "all"})
    with pytest.raises(StoppedError):
        run(config, tmp_path / "run", on_epoch=stop_after(1))
    torch.manual_seed(4)
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    assert refused(config, tmp_path / "run") == (
        f"model.backbone.weights: {path} does not hold the weights that the run in {tmp_path / 'run'} began with"
    )


def test_resuming_a_finished_run_trains_no_more(
    plain: tuple[Path, RunResult], tiny: MakeConfig, tmp_path: Path
) -> None:
    shutil.copytree(plain[0], tmp_path / "run")
    for name in ("report.json", "metrics.jsonl"):  # as a kill right after the last checkpoint leaves it
        (tmp_path / "run" / name).unlink()
    called: list[Any] = []
    run(tiny(), tmp_path / "run", resume=True, on_epoch=called.append)
    assert called == []
    assert_same_run(plain[0], tmp_path / "run")


def test_resuming_where_nothing_began_begins(plain: tuple[Path, RunResult], tiny: MakeConfig, tmp_path: Path) -> None:
    run(tiny(), tmp_path / "run", resume=True)
    assert_same_run(plain[0], tmp_path / "run")


def refused(config: Config, path: Path) -> str:
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with pytest.raises(UserError) as caught:
        run(config, path, resume=True)
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_resuming_with_another_config_is_refused(
    plain: tuple[Path, RunResult], tiny: MakeConfig, tmp_path: Path
) -> None:
    shutil.copytree(plain[0], tmp_path / "run")
    assert refused(tiny({"training.lr": 0.5}), tmp_path / "run") == (
        f"training.lr: the run in {tmp_path / 'run'} began with 0.001, found 0.5"
    )
    message = refused(tiny({"seed": 4, "training.ema": {}}), tmp_path / "run")
    assert message.startswith(f"seed: the run in {tmp_path / 'run'} began with 0, found 4 (and ")


def test_resuming_with_other_data_is_refused(tiny: MakeConfig, drawn: Path, tmp_path: Path) -> None:
    shutil.copytree(drawn, tmp_path / "data")
    config = tiny({"data.root": str(tmp_path / "data")})
    with pytest.raises(StoppedError):
        run(config, tmp_path / "run", on_epoch=stop_after(1))
    table = tmp_path / "data" / "train" / "train.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-1]) + "\n")
    assert refused(config, tmp_path / "run") == (
        f"{tmp_path / 'data'}: is not the data that the run in {tmp_path / 'run'} began with"
    )


@pytest.mark.parametrize("cut", [0, 100, -1])
def test_damaged_checkpoint_is_refused(
    cut: int, plain: tuple[Path, RunResult], tiny: MakeConfig, tmp_path: Path
) -> None:
    shutil.copytree(plain[0], tmp_path / "run")
    path = tmp_path / "run" / "checkpoints" / "last.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    assert refused(tiny(), tmp_path / "run").startswith(f"{path}: is damaged: ")


def test_killed_process_goes_on_to_the_same_end(tiny: MakeConfig, tmp_path: Path) -> None:
    config = tiny({"training.epochs": 6, "training.ema": {"decay": 0.9}, "data.val_fraction": 0.25})
    whole, parts, file = tmp_path / "whole", tmp_path / "parts", tmp_path / "config.yaml"
    file.write_text(config.to_yaml())
    run(config, whole)

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "multitask", "train", str(file), "--out", str(parts), "--resume", "--quiet"]
        return Forked(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def rows() -> int:
        path = parts / "metrics.jsonl"
        return len(path.read_text().splitlines()) if path.exists() else 0

    last = parts / "checkpoints" / "last.safetensors"
    moments: list[tuple[str, Callable[[], bool], float]] = [
        ("while the folder is made", parts.exists, 0.0),
        ("before the first checkpoint", (parts / "split.csv").exists, 0.01),
        ("right after the first checkpoint", last.exists, 0.0),
        ("within a later epoch", lambda: rows() >= 3, 0.03),
    ]
    for name, reached, wait in moments:
        kill_when(start(), name, reached, wait)
    assert 3 <= rows() < 6
    process = start()
    _out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert_same_run(whole, parts)


# --- what runs share --------------------------------------------------------------------------------------------


def kept(folder: Path) -> dict[str, int]:
    """How many files of each kind are in a folder for reuse."""
    names = [path.name.split("-")[0] for path in folder.glob("*.npy")]
    return {name: names.count(name) for name in sorted(set(names))}


@pytest.fixture
def count_work(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[int, int]]:
    """Gives the numbers of images read and of images whose features were computed since it was last asked."""
    done = [0, 0]
    load, pack = Preprocessing.load, FeatureRows.pack

    def counted_load(self: Preprocessing, path: Path, *box: Any) -> Any:
        done[0] += 1
        return load(self, path, *box)

    def counted_pack(self: FeatureRows, encoded: Encoded) -> torch.Tensor:
        done[1] += len(encoded.pooled)
        return pack(self, encoded)

    monkeypatch.setattr(Preprocessing, "load", counted_load)
    monkeypatch.setattr(FeatureRows, "pack", counted_pack)

    def since() -> tuple[int, int]:
        found = done[0], done[1]
        done[:] = 0, 0
        return found

    return since


def test_run_from_shared_pixels_is_that_from_files(
    plain: tuple[Path, RunResult], tiny: MakeConfig, tmp_path: Path, count_work: Callable[[], tuple[int, int]]
) -> None:
    num = len(DataModule(tiny()).samples)
    for name, expected in {"first": num, "second": 0}.items():
        run(tiny(), tmp_path / name, reuse=tmp_path / "reuse")
        assert_same_run(plain[0], tmp_path / name)
        assert count_work()[0] == expected
    assert kept(tmp_path / "reuse") == {"pixels": 1}


def test_without_a_cache_no_pixels_are_kept(plain: tuple[Path, RunResult], tiny: MakeConfig, tmp_path: Path) -> None:
    result = run(tiny({"data.cache": "none"}), reuse=tmp_path / "reuse")
    assert result.report is not None
    assert plain[1].report is not None
    assert result.report.joint == plain[1].report.joint
    assert kept(tmp_path / "reuse") == {}


FROZEN: dict[str, dict[str, Any]] = {
    "plain": {},
    "average, accumulation, heads of their own": {
        "training.ema": {"decay": 0.9},
        "training.accumulate": 2,
        "heads.age.loss": {"name": "focal", "class_weights": "effective_number", "smoothing": 0.1},
        "heads.gender.net": {"name": "mlp", "hidden": 16, "dropout": 0.3},
    },
    "a head that reads the map": {"heads.mask.net": {"name": "attention", "width": 16}},
    "the same in bf16": {"heads.mask.net": {"name": "attention", "width": 16}, "training.precision": "bf16"},
    "flat, bf16, patience": {"model.sharing.name": "flat", "training.precision": "bf16", "training.patience": 1},
    "no cache, workers": {"data.cache": "none", "data.workers": 2, "training.epochs": 1},
}


@pytest.fixture
def frozen(tiny: MakeConfig, weights: str) -> MakeConfig:
    """Makes the config of a run whose images' features cannot change."""

    def make(changes: dict[str, Any] | None = None) -> Config:
        base = {"model.backbone.weights": weights, "model.backbone.freeze": "all", "augment.strength": 0}
        return tiny({**base, **(changes or {})})

    return make


@pytest.mark.parametrize("variant", FROZEN)
def test_run_from_features_computed_before_is_that_from_images(
    variant: str, frozen: MakeConfig, tmp_path: Path, count_work: Callable[[], tuple[int, int]]
) -> None:
    config = frozen(FROZEN[variant])
    num = len(DataModule(config).samples)
    run(config, tmp_path / "plain")
    count_work()
    for name, expected in {"first": (num, num), "second": (0, 0)}.items():
        run(config, tmp_path / name, reuse=tmp_path / "reuse")
        assert_same_run(tmp_path / "plain", tmp_path / name)
        assert count_work() == expected
    assert kept(tmp_path / "reuse")["features"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"augment.strength": 0.1},
        {"augment.mix.mixup_prob": 0.5},
        {"augment.mix.cutmix_prob": 0.5},
        {"model.backbone.freeze": 4},
        {"model.backbone.freeze": "none"},
    ],
    ids=str,
)
def test_features_that_may_change_are_not_reused(changes: dict[str, Any], frozen: MakeConfig, tmp_path: Path) -> None:
    config = frozen({"training.epochs": 1, **changes})
    run(config, tmp_path / "plain")
    run(config, tmp_path / "run", reuse=tmp_path / "reuse")
    assert_same_run(tmp_path / "plain", tmp_path / "run")
    assert kept(tmp_path / "reuse") == {"pixels": 1}


def test_features_are_shared_by_all_that_leaves_them_as_they_are(frozen: MakeConfig, tmp_path: Path) -> None:
    for changes in (
        {},
        {"seed": 3},
        {"heads.age.weight": 2.0, "training.lr": 0.01, "balancer": "fixed"},
        {"data.val_fraction": 0.2, "data.folds": 3, "data.fold": 1},
        {"model.backbone.freeze": 5},  # which are all
    ):
        run(frozen({"training.epochs": 1, **changes}), reuse=tmp_path / "reuse")
        assert kept(tmp_path / "reuse") == {"features": 1, "pixels": 1}, changes


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"data.image_size": [24, 32]}, {"features": 2, "pixels": 2}),
        ({"data.crop": {"name": "centre", "top": 0.1}}, {"features": 2, "pixels": 2}),
        ({"model.backbone.std": [0.1, 0.2, 0.3]}, {"features": 2, "pixels": 1}),
        ({"training.precision": "bf16"}, {"features": 2, "pixels": 1}),
        ({"training.batch_size": 8}, {"features": 2, "pixels": 1}),
    ],
    ids=str,
)
def test_other_settings_have_features_of_their_own(
    changes: dict[str, Any], expected: dict[str, int], frozen: MakeConfig, tmp_path: Path
) -> None:
    run(frozen({"training.epochs": 1}), reuse=tmp_path / "reuse")
    config = frozen({"training.epochs": 1, **changes})
    run(config, tmp_path / "plain")
    run(config, tmp_path / "run", reuse=tmp_path / "reuse")
    assert_same_run(tmp_path / "plain", tmp_path / "run")
    assert kept(tmp_path / "reuse") == expected


def test_other_images_and_other_weights_of_the_same_names_have_features_of_their_own(
    frozen: MakeConfig, weights: str, drawn: Path, tmp_path: Path
) -> None:
    shutil.copytree(drawn, tmp_path / "data")
    shutil.copy(weights, tmp_path / "weights.pth")
    root, file = str(tmp_path / "data"), str(tmp_path / "weights.pth")
    config = frozen({"training.epochs": 1, "data.root": root, "model.backbone.weights": file})

    def check(expected: dict[str, int]) -> None:
        name = str(expected)
        run(config, tmp_path / name / "plain")
        run(config, tmp_path / name / "run", reuse=tmp_path / "reuse")
        assert_same_run(tmp_path / name / "plain", tmp_path / name / "run")
        assert kept(tmp_path / "reuse") == expected

    check({"features": 1, "pixels": 1})
    paths = DataModule(config).samples.paths()
    shutil.copy(paths[0], paths[5])
    check({"features": 2, "pixels": 2})
    torch.manual_seed(5)
    torch.save(timm.create_model("test_resnet").state_dict(), file)
    check({"features": 3, "pixels": 2})


def test_damaged_files_for_reuse_are_made_again(frozen: MakeConfig, tmp_path: Path) -> None:
    reuse = tmp_path / "reuse"
    run(frozen(), tmp_path / "first", reuse=reuse)
    before = {path: path.read_bytes() for path in reuse.glob("*.npy")}
    for path, content in before.items():
        path.write_bytes(content[: len(content) // 2])
    run(frozen(), tmp_path / "second", reuse=reuse)
    assert_same_run(tmp_path / "first", tmp_path / "second")
    assert {path: path.read_bytes() for path in reuse.glob("*.npy")} == before


@pytest.mark.parametrize("first", ["with", "without"])
def test_a_run_may_be_resumed_with_features_or_without(first: str, frozen: MakeConfig, tmp_path: Path) -> None:
    config = frozen({"training.epochs": 3, "training.ema": {"decay": 0.9}})
    reuse = {"with": tmp_path / "reuse", "without": None}
    second = "without" if first == "with" else "with"
    run(config, tmp_path / "whole")
    with pytest.raises(StoppedError):
        run(config, tmp_path / "parts", on_epoch=stop_after(1), reuse=reuse[first])
    run(config, tmp_path / "parts", resume=True, reuse=reuse[second])
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_run_that_had_features_answers_images_at_any_moment(frozen: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        run(frozen(), tmp_path / "run", on_epoch=stop_after(1), reuse=tmp_path / "reuse")
    folder = RunFolder(tmp_path / "run")
    scores = evaluate(TrainedRun(folder, frozen()), "val", Progress())
    assert scores.joint.macro_f1 == folder.read_history()[0].val.joint_macro_f1


def test_the_last_checkpoint_leaves_out_what_is_frozen_and_the_best_is_whole(
    frozen: MakeConfig, tmp_path: Path
) -> None:
    for name, reuse in {"with": tmp_path / "reuse", "without": None}.items():
        folder = run(frozen(), tmp_path / name, reuse=reuse).folder
        best, last = (set(load_checkpoint(path)["network"]) for path in (folder.best, folder.last))
        assert last == {name for name in best if name.startswith("heads.")}
        assert len(best - last) == len(timm.create_model("test_resnet", num_classes=0).state_dict())


@needs_shared
def test_on_real_images_a_pretrained_network_scores_the_same(tmp_path: Path) -> None:
    config = load_config(
        Path(__file__).parents[2] / "configs" / "mask18_mini.yaml",
        [
            f"data.root={SHARED / 'data' / 'mask18-mini'}",
            f"model.backbone.weights={SHARED / 'weights' / 'mobilenetv2_100.safetensors'}",
            "model.backbone.freeze=all",
            "augment.strength=0",
            "data.image_size=[48, 36]",
            "training.epochs=1",
        ],
    )
    run(config, tmp_path / "plain")
    run(config, tmp_path / "run", reuse=tmp_path / "reuse")
    assert kept(tmp_path / "reuse")["features"] == 1
    one, other = (report(tmp_path / name) for name in ("plain", "run"))
    assert one["joint"] == other["joint"]
    assert one["tasks"] == other["tasks"]
    assert history(tmp_path / "plain") == history(tmp_path / "run")


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
