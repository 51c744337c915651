"""Runs that are stopped or killed and go on: to the bit those that never were."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from multitask.config import Config
from multitask.errors import UserError
from multitask.runs.config import read_run
from multitask.runs.networks import load_network
from multitask.runs.run import RunResult, run
from tests.processes import Forked, kill_once_stopped, stops_after
from tests.runs.same_run import MakeConfig, StoppedError, assert_same_bits, assert_same_run, stop_after

import timm  # isort: skip  (after multitask, which makes it importable)


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

    def start(**more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "multitask", "train", str(file), "--out", str(parts), "--resume", "--quiet"]
        return Forked(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **more})

    def rows() -> int:
        path = parts / "metrics.jsonl"
        return len(path.read_text().splitlines()) if path.exists() else 0

    moments = [
        ("multitask.runs.folder:write_atomically", "True", 0),  # while the folder is made
        ("multitask.runs.run:_write_data", "True", 0),  # before the first checkpoint
        ("multitask.training.loop:save_checkpoint", "args[0].name == 'last.safetensors'", 0),  # right after it
        ("multitask.training.divergence:DivergenceCheck.losses", "args[2] == 4", 3),  # within a later epoch
    ]
    for function, when, num in moments:
        kill_once_stopped(start(**stops_after(function, when)))
        assert rows() == num, function
    process = start()
    _out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert_same_run(whole, parts)
