"""A run folder has one writer, which leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import multitask.training.loop
from multitask.config import Config
from multitask.errors import DivergedError, UserError
from multitask.model.network import Heads
from multitask.progress import Progress
from multitask.runs.config import TrainedRun
from multitask.runs.cross_validation import run_folds
from multitask.runs.evaluate import evaluate
from multitask.runs.folder import RunFolder, list_runs, overview
from multitask.runs.run import run
from multitask.study.folder import StudyFolder
from multitask.training.checkpoint import load_checkpoint, save_checkpoint
from tests.processes import Forked

MakeConfig = Callable[..., Config]
STEP = {"training.schedule": {"name": "step", "factor": 1.0, "warmup_epochs": 0}}

HOLD = """
import sys, time
from pathlib import Path
from multitask.runs.folder import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    (Path(sys.argv[1]) / ".report.json.abc.part").write_text("half")
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_refused_until_the_first_is_killed(tiny: MakeConfig, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with Forked([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for resume in (False, True):
            with pytest.raises(UserError, match="another process is writing this run; wait for it, or name another"):
                run(tiny(), out, resume=resume)
        with pytest.raises(UserError, match="another process is writing this run"):
            run_folds(tiny({"data.val_fraction": 0.2}), 2, out)
        os.kill(holder.pid, signal.SIGKILL)
    assert (out / ".report.json.abc.part").exists()
    run(tiny({"training.epochs": 1}), out)
    assert not list(out.rglob("*.part"))
    assert not (out / ".lock").exists()
    with RunFolder(out).locked(), pytest.raises(UserError, match="another process is writing this run"):
        evaluate(TrainedRun(RunFolder(out), tiny({"training.epochs": 1})), "val", Progress())


def test_a_child_that_is_forked_does_not_hold_on_when_its_parent_is_gone(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        child = os.fork()
        if not child:
            signal.pause()
            os._exit(0)
    try:
        with folder.locked():
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_study_removes_what_killed_writers_left(tmp_path: Path) -> None:
    part = tmp_path / ".study.yaml.abc.part"
    part.write_text("half")
    with StudyFolder(tmp_path).locked():
        assert not part.exists()


@pytest.mark.parametrize("existed", [False, True])
def test_what_cannot_be_built_leaves_no_run_and_the_corrected_line_trains(
    tiny: MakeConfig, tmp_path: Path, existed: bool
) -> None:
    out = tmp_path / "run"
    if existed:
        out.mkdir()
    with pytest.raises(UserError, match=r"^training\.optimizer: adamw cannot"):
        run(tiny({"training.optimizer.options": {"betas": [0.9]}}), out)
    assert out.exists() == existed
    assert not existed or not list(out.iterdir())
    run(tiny({"training.epochs": 1}), out)


def test_a_network_that_answers_nan_fails_its_run_and_keeps_the_last_good_epoch(
    tiny: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = Heads.forward_heads

    def forward_heads(self: Heads, encoded: Any) -> dict[str, torch.Tensor]:
        found = true(self, encoded)
        if not self.training and (tmp_path / "run" / "metrics.jsonl").exists():
            found["gender"] = found["gender"] * torch.nan
        return found

    monkeypatch.setattr(Heads, "forward_heads", forward_heads)
    with pytest.raises(DivergedError, match=r"^heads\.gender: the network answers NaN after epoch 2; lower "):
        run(tiny(), tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    assert len(load_checkpoint(folder.last)["history"]) == 1
    assert [overview(found, tmp_path).state for found in list_runs(tmp_path)] == ["failed"]
    monkeypatch.undo()
    run(tiny(), tmp_path / "run", resume=True)
    assert [overview(found, tmp_path).state for found in list_runs(tmp_path)] == ["reported"]


def test_weights_that_the_last_step_ruins_fail_the_run(
    tiny: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = multitask.training.loop.Trainer.train_epoch

    def train_epoch(self: Any, *args: Any) -> dict[str, Any]:
        record = true(self, *args)
        with torch.no_grad():
            next(self.evaluated.heads["age"].parameters()).fill_(torch.nan)
        return record

    monkeypatch.setattr(multitask.training.loop.Trainer, "train_epoch", train_epoch)
    with pytest.raises(DivergedError, match=r"^heads\.age: the weights are no numbers after epoch 1"):
        run(tiny({"training.ema": {"decay": 0.9}, "data.val_fraction": 0.0}), tmp_path / "run")
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


def test_more_epochs_are_those_of_a_run_that_had_them_from_the_start(tiny: MakeConfig, tmp_path: Path) -> None:
    whole = run(tiny({**STEP, "training.epochs": 3}), tmp_path / "whole")
    run(tiny({**STEP, "training.epochs": 2}), tmp_path / "run")
    notes: list[str] = []
    progress = Progress()
    progress.note = notes.append  # type: ignore[method-assign]
    longer = run(tiny({**STEP, "training.epochs": 3}), tmp_path / "run", resume=True, progress=progress)
    assert notes == ["training.epochs: 3, where the run began with 2; all else is as it was"]
    one, other = (load_checkpoint(result.folder.last)["network"] for result in (whole, longer))
    assert all(torch.equal(value, other[key]) for key, value in one.items())
    with pytest.raises(UserError, match=r"^training\.epochs: the run in .* began with 3, found 2"):
        run(tiny({**STEP, "training.epochs": 2}), tmp_path / "run", resume=True)


def test_more_epochs_are_refused_where_what_was_trained_depends_on_how_many_there_are(
    tiny: MakeConfig, tmp_path: Path
) -> None:
    run(tiny({"training.epochs": 1}), tmp_path / "run")
    with pytest.raises(UserError, match=r"training\.schedule \(cosine, not step\) depends on how many there are"):
        run(tiny({"training.epochs": 2}), tmp_path / "run", resume=True)


@pytest.fixture(scope="module")
def finished(tiny: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Config]:
    config, out = tiny({"training.epochs": 1}), tmp_path_factory.mktemp("finished") / "run"
    run(config, out)
    return out, config


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.pop("network"),
        lambda state: state["network"].popitem(),
        lambda state: state["network"].update({next(iter(state["network"])): torch.ones(1)}),
        lambda state: state.update(network=[1]),
        lambda state: state.update(optimizer={}),
        lambda state: next(iter(state["optimizer"]["state"].values())).clear(),
        lambda state: state["optimizer"]["param_groups"][0].update(betas="fast"),
        lambda state: next(iter(state["optimizer"]["state"].values())).pop("exp_avg"),
        lambda state: state.update(history=[]),
        lambda state: state["history"][0].update(epoch=7),
        lambda state: state["history"][0].update(val="good"),
        lambda state: state["history"].extend(state["history"] * 3),
        lambda state: state.update(balancer=3),
        lambda state: state.update(scaler=None),
    ],
)
def test_a_checkpoint_with_a_right_checksum_and_a_wrong_state_is_one_line(
    change: Callable[[dict[str, Any]], Any], finished: tuple[Path, Config], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished[0], out)
    state = load_checkpoint(RunFolder(out).last)
    change(state)
    save_checkpoint(RunFolder(out).last, state)
    before = RunFolder(out).last.read_bytes()
    with pytest.raises(UserError) as caught:
        run(finished[1], out, resume=True)
    assert str(caught.value).startswith(f"{RunFolder(out).last}: does not belong to this config: ")
    assert "\n" not in str(caught.value)
    assert RunFolder(out).last.read_bytes() == before


def test_best_weights_of_another_epoch_are_refused(finished: tuple[Path, Config], tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished[0], out)
    best = RunFolder(out).best
    save_checkpoint(best, {**load_checkpoint(best), "epoch": 7})
    with pytest.raises(UserError, match=r"best\.safetensors: is of epoch 7, but the best epoch of .* is 1"):
        run(finished[1], out, resume=True)
