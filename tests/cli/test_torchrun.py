"""The real launcher: one launch, of which a process is killed, and that begins again by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch

from multitask.config import Config
from multitask.runs.run import run
from multitask.training.checkpoint import load_checkpoint
from tests.over_ranks import over_ranks

CHANGES = {"training.epochs": 8, "training.batch_size": 40, "augment.strength": 0.0, "training.patience": 8}
DEADLINE_S = 240


@pytest.fixture(scope="module")
def killed(
    tiny: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder with the run, and what the launcher said, where a rank was killed after the first epoch."""
    folder = tmp_path_factory.mktemp("torchrun")
    (folder / "config.yaml").write_text(tiny(CHANGES).to_yaml())
    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    line += ["-m", "multitask", "train", "config.yaml", "--out", "run", "--resume", "--quiet"]
    launcher = subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        ends = time.monotonic() + DEADLINE_S
        while not (folder / "run" / "metrics.jsonl").exists():
            assert launcher.poll() is None
            assert time.monotonic() < ends
            time.sleep(0.02)
        ranks = psutil.Process(launcher.pid).children()
        [victim] = [one for one in ranks if one.environ().get("RANK") == "1"]
        os.kill(victim.pid, signal.SIGKILL)
        said, _ = launcher.communicate(timeout=DEADLINE_S)
    finally:
        launcher.kill()
    return folder / "run", subprocess.CompletedProcess(line, launcher.returncode, said)


def test_a_launch_whose_process_is_killed_ends_as_if_it_had_not_been(
    killed: tuple[Path, subprocess.CompletedProcess[str]], tiny: Callable[..., Config], tmp_path: Path
) -> None:
    folder, launch = killed
    assert launch.returncode == 0, launch.stdout
    assert over_ranks(2, lambda rank: run(tiny(CHANGES), tmp_path / "run").folder.path.name) == ["run", "run"]
    found, whole = (load_checkpoint(path / "checkpoints" / "last.safetensors") for path in (folder, tmp_path / "run"))
    for part, value in whole["network"].items():
        assert torch.equal(found["network"][part], value), part
    assert (folder / "report.html").is_file()
    assert (folder / "predictions-val.csv").read_bytes() == (tmp_path / "run" / "predictions-val.csv").read_bytes()


def test_a_process_that_is_killed_costs_one_line(killed: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, launch = killed
    lines = [line for line in launch.stdout.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "--resume" in lines[0]
