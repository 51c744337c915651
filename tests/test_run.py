from __future__ import annotations

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

from multitask.config import Config
from multitask.errors import UserError
from multitask.run import Material, RunResult, run
from multitask.training.checkpoint import load_checkpoint
from multitask.training.loop import DivergedError

import timm  # isort: skip  (after multitask, which makes it importable)

MakeConfig = Callable[..., Config]
TIMES = ("seconds", "images_per_s")


class StoppedError(Exception):
    """What a caller's ``on_epoch`` raises to end a run."""


def stop_after(epoch: int) -> Callable[[dict[str, Any]], None]:
    def on_epoch(record: dict[str, Any]) -> None:
        if record["epoch"] == epoch:
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
        "report.json",
        "predictions-val.csv",
        "checkpoints/best.safetensors",
        "checkpoints/last.safetensors",
    }
    assert [row["epoch"] for row in result.history] == [1, 2]
    assert result.folder.path == path
    assert result.report is not None
    assert {
        "joint",
        "tasks",
        "decode",
        "num_images",
        "num_groups",
        "attribution",
        "training",
        "class_distribution",
    } <= set(result.report)
    for figures in (result.report["joint"], *result.report["tasks"].values()):
        assert {"macro_f1", "accuracy", "macro_f1_ci"} <= set(figures)
    best = result.report["training"]["best_epoch"]
    assert result.report["joint"]["macro_f1"] == pytest.approx(result.history[best - 1]["val"]["joint"]["macro_f1"])
    assert load_checkpoint(result.folder.best)["epoch"] == best


def test_people_are_on_one_side_of_the_split(plain: tuple[Path, RunResult]) -> None:
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
        return Material(config).split.val.tolist()

    assert validating(0, 5) == validating(1, 5) == validating(5, None)
    assert validating(0, None) == validating(1, 0) != validating(1, None)


def test_two_runs_of_one_config_give_the_same_numbers(
    plain: tuple[Path, RunResult], tiny: MakeConfig, tmp_path: Path
) -> None:
    torch.manual_seed(12345)  # whatever the process did before
    run(tiny(), tmp_path / "again")
    assert_same_run(plain[0], tmp_path / "again")


def test_another_seed_gives_other_numbers(plain: tuple[Path, RunResult], tiny: MakeConfig) -> None:
    other = run(tiny({"seed": 1}))
    assert other.history[0]["train"]["loss"] != plain[1].history[0]["train"]["loss"]


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
    assert result.report["joint"] == plain[1].report["joint"]


def test_without_validation_all_train_and_nobody_is_reported_on(tiny: MakeConfig, tmp_path: Path) -> None:
    result = run(tiny({"data.val_fraction": 0.0, "training.epochs": 1}), tmp_path / "run")
    assert result.report is None
    assert result.history[0]["val"] is None
    assert not (tmp_path / "run" / "report.json").exists()
    assert "val" not in {line.rsplit(",", 1)[1] for line in (tmp_path / "run" / "split.csv").read_text().splitlines()}
    assert load_checkpoint(result.folder.best)["epoch"] == 1


def test_flat_run_reports_every_task(tiny: MakeConfig) -> None:
    result = run(tiny({"model.sharing.name": "flat", "training.epochs": 1}))
    assert result.report is not None
    assert set(result.report["tasks"]) == {"mask", "gender", "age"}
    assert set(result.history[0]["train"]["tasks"]) == {"class"}
    assert set(result.history[0]["val"]["tasks"]) == {"mask", "gender", "age"}


# --- how a run ends ---------------------------------------------------------------------------------------------


def test_what_on_epoch_raises_ends_the_run(tiny: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        run(tiny(), tmp_path / "run", on_epoch=stop_after(1))
    assert len(history(tmp_path / "run")) == 1
    assert not (tmp_path / "run" / "report.json").exists()


def test_diverging_run_names_head_and_batch_and_keeps_the_last_good_epoch(tiny: MakeConfig, tmp_path: Path) -> None:
    good = {"training.schedule": {"name": "step", "factor": 1.0, "warmup_epochs": 0}}
    config = tiny({**good, "training.lr": 1e30, "training.clip_norm": None})
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
    assert [row["epoch"] for row in result.history] == [1, 2, 3]
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


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
        code = "from multitask.cli import main; main()"
        command = [sys.executable, "-c", code, "train", str(file), "--out", str(parts), "--resume", "--quiet"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

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
        process = start()
        deadline = time.monotonic() + 90
        while not reached():
            assert process.poll() is None, (name, process.communicate())
            assert time.monotonic() < deadline, name
            time.sleep(0.001)
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, f"the run ended before it was killed {name}"
    assert 3 <= rows() < 6
    process = start()
    _out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert_same_run(whole, parts)
