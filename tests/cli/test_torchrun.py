"""The real launcher: a launch to its end, and one of which a process is killed, and that begins again by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

from multitask.config import Config
from multitask.runs.cross_validation import run_folds
from multitask.runs.run import run
from multitask.training.checkpoint import load_checkpoint
from tests.over_ranks import over_ranks
from tests.processes import stops_after
from tests.runs.test_cross_validation import assert_same_folds

CHANGES = {"training.epochs": 2, "training.batch_size": 40, "augment.strength": 0.0}
DEADLINE_S = 240
LINE = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
STOPPING = f"""
import os, runpy, sys
sys.path.append({str(Path(__file__).parents[2])!r})
from tests.processes import stop_where_told
if (os.environ["RANK"], os.environ["TORCHELASTIC_RESTART_COUNT"]) == ("1", "0"):
    stop_where_told()
runpy.run_module("multitask", run_name="__main__", alter_sys=True)
"""
TRAIN = ["-m", "multitask", "train", "config.yaml", "--out", "run", "--resume", "--quiet"]


def same_end(folder: Path, whole: Path) -> None:
    found, expected = (load_checkpoint(path / "checkpoints" / "last.safetensors") for path in (folder, whole))
    for part, value in expected["network"].items():
        assert torch.equal(found["network"][part], value), part
    assert (folder / "report.html").is_file()
    assert (folder / "predictions-val.csv").read_bytes() == (whole / "predictions-val.csv").read_bytes()


def rank_1_killed(words: list[str], folder: Path, function: str, when: str) -> tuple[int, str]:
    """Kills a process of a launch where it has stopped itself, as of ``stops_after``; how the launch ends, and says."""
    program = folder / "program.py"
    program.write_text(STOPPING)
    launcher = subprocess.Popen(
        [*LINE, "--max-restarts=1", str(program), *TRAIN[2:], *words],
        cwd=folder,
        env={**os.environ, **stops_after(function, when)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        ends = time.monotonic() + DEADLINE_S
        while not (stopped := [one for one in psutil.Process(launcher.pid).children() if one.status() == "stopped"]):
            assert launcher.poll() is None, launcher.communicate()
            assert time.monotonic() < ends
            time.sleep(0.02)
        assert [one.environ()["RANK"] for one in stopped] == ["1"]
        os.kill(stopped[0].pid, signal.SIGKILL)
        said, _ = launcher.communicate(timeout=DEADLINE_S)
    finally:
        launcher.kill()
    return launcher.returncode, said


def test_a_launch_trains_what_its_ranks_do(tiny: Callable[..., Config], tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(tiny(CHANGES).to_yaml())
    launch = subprocess.run([*LINE, *TRAIN], cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S)
    assert launch.returncode == 0, launch.stderr
    assert over_ranks(2, lambda rank: run(tiny(CHANGES), tmp_path / "whole").folder.path.name) == ["whole"] * 2
    same_end(tmp_path / "run", tmp_path / "whole")


def test_a_launch_whose_process_is_killed_begins_again_by_itself(tiny: Callable[..., Config], tmp_path: Path) -> None:
    config = tiny({**CHANGES, "training.epochs": 8, "training.patience": 8})
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    code, said = rank_1_killed([], tmp_path, "multitask.training.loop:Trainer.train_epoch", "args[1] == 2")
    assert code == 0, said
    [line] = [line for line in said.splitlines() if line.startswith("error: ")]
    assert "--resume" in line
    assert over_ranks(2, lambda rank: run(config, tmp_path / "whole").folder.path.name) == ["whole"] * 2
    same_end(tmp_path / "run", tmp_path / "whole")


def test_folds_of_a_launch_whose_process_is_killed_go_on_by_themselves(
    tiny: Callable[..., Config], tmp_path: Path
) -> None:
    config = tiny({"data.val_fraction": 0.2, "training.epochs": 3})
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    epoch = "multitask.runs.folder:RunFolder.write_history"
    code, said = rank_1_killed(["--folds", "3"], tmp_path, epoch, "args[0].path.name == '1'")
    assert code == 0, said
    [line] = [line for line in said.splitlines() if line.startswith("error: ")]
    assert "--resume" in line
    run_folds(config, 3, tmp_path / "whole")
    assert_same_folds(tmp_path / "whole", tmp_path / "run")
