"""A run that is killed in the middle of an epoch goes on there, to the end of one that was never stopped."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multitask.config import Config
from multitask.errors import UserError
from multitask.progress import Progress
from multitask.runs.folder import RunFolder
from multitask.runs.run import run
from multitask.training.checkpoint import load_checkpoint, save_checkpoint
from tests.runs.same_run import assert_same_bits, assert_same_run

MakeConfig = Callable[..., Config]
COMMON: dict[str, Any] = {
    "training.checkpoint_steps": 1,
    "training.batch_size": 12,
    "training.epochs": 2,
    "model.backbone.options": {"drop_rate": 0.2},
}
DRAWS: dict[str, Any] = COMMON | {
    "balancer": {"name": "random"},
    "training.accumulate": 2,
    "training.ema": {"decay": 0.9},
    "augment.mix": {"mixup_prob": 0.5},
    "data.workers": 2,
}
REMEMBERS: dict[str, Any] = COMMON | {"balancer": {"name": "dynamic_average"}, "training.epochs": 3}
SUMS: dict[str, Any] = COMMON | {"balancer": {"name": "pcgrad"}, "training.epochs": 1}


class StoppedError(Exception):
    pass


class StopAt(Progress):
    """Stops, or kills its process, after a batch of an epoch; remembers which batches were trained."""

    def __init__(self, epoch: int = 0, batch: int = 0, *, kill: bool = False) -> None:
        self.at, self.kill = (epoch, batch), kill
        self.done: list[tuple[int, int]] = []
        self._epoch = 1

    def training(self, first_epoch: int, num_epochs: int, num_batches: int, tasks: tuple[str, ...]) -> None:
        self._epoch = first_epoch

    def batch(self, done: int, num_images: int, losses: Any) -> None:
        self.done.append((self._epoch, done))
        if self.done[-1] == self.at:
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise StoppedError

    def epoch(self, record: Any) -> None:
        self._epoch = record.epoch + 1


def stopped(config: Config, folder: Path, epoch: int, batch: int, resume: bool = False) -> None:
    with pytest.raises(StoppedError):
        run(config, folder, resume=resume, progress=StopAt(epoch, batch))


@pytest.fixture(scope="module")
def draws(tiny: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped."""
    folder = tmp_path_factory.mktemp("draws") / "run"
    run(tiny(DRAWS), folder)
    return folder


@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_process_that_is_killed_in_an_epoch_goes_on_there(draws: Path, tiny: MakeConfig, tmp_path: Path) -> None:
    config, folder = tiny(DRAWS), tmp_path / "run"

    def work() -> None:
        run(config, folder, progress=StopAt(1, 3, kill=True))

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step.safetensors"]
    stopped(config, folder, 2, 4, resume=True)
    last = StopAt()
    run(config, folder, resume=True, progress=last)
    assert last.done[0] == (2, 5)
    assert_same_run(draws, folder)
    assert not RunFolder(folder).step.exists()


@pytest.mark.parametrize("changes", [REMEMBERS, SUMS], ids=["remembers", "sums"])
def test_what_an_epoch_sums_and_remembers_goes_on(changes: dict[str, Any], tiny: MakeConfig, tmp_path: Path) -> None:
    config = tiny(changes)
    run(config, tmp_path / "whole")
    epochs = config.training.epochs
    stopped(config, tmp_path / "parts", epochs, 3)
    last = StopAt()
    run(config, tmp_path / "parts", resume=True, progress=last)
    assert last.done[0] == (epochs, 4)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_checkpoints_in_an_epoch_change_no_number_and_may_be_turned_off(
    draws: Path, tiny: MakeConfig, tmp_path: Path
) -> None:
    """Nor does a part of an epoch that was finished since, as where a run is killed right after the epoch."""
    config, folder = tiny(DRAWS), tmp_path / "run"
    stopped(config, folder, 1, 3)
    shutil.copy(RunFolder(folder).step, tmp_path / "stale")
    without = tiny(DRAWS | {"training.checkpoint_steps": None})
    stopped(without, folder, 2, 1, resume=True)
    shutil.copy(tmp_path / "stale", RunFolder(folder).step)
    last = StopAt()
    run(without, folder, resume=True, progress=last)
    assert last.done[0] == (2, 1)
    states = [load_checkpoint(where / "checkpoints" / "last.safetensors") for where in (draws, folder)]
    assert_same_bits(*states)


def test_what_is_damaged_or_of_another_network_is_refused_in_one_line(tiny: MakeConfig, tmp_path: Path) -> None:
    config, folder = tiny(SUMS), RunFolder(tmp_path / "run")
    stopped(config, folder.path, 1, 2)
    whole = folder.step.read_bytes()
    folder.step.write_bytes(whole[:-9])
    with pytest.raises(UserError, match=r"step.safetensors: is damaged: .*; remove it to go on from the last finished"):
        run(config, folder.path, resume=True)
    folder.step.write_bytes(whole)
    state = load_checkpoint(folder.step)
    save_checkpoint(folder.step, {"state": state["state"]})
    with pytest.raises(UserError, match=r"step.safetensors: is damaged: it is of no part of an epoch"):
        run(config, folder.path, resume=True)
    state["state"]["network"].popitem()
    save_checkpoint(folder.step, state)
    with pytest.raises(UserError, match=r"step.safetensors: does not belong to this config: it lacks"):
        run(config, folder.path, resume=True)
    folder.step.unlink()
    run(config, folder.path, resume=True)


def test_more_steps_than_an_epoch_has_would_be_ignored(tiny: MakeConfig, tmp_path: Path) -> None:
    config = tiny(SUMS | {"training.checkpoint_steps": 1000})
    with pytest.raises(UserError, match=r"training.checkpoint_steps: 1000 would be ignored: an epoch has \d+ steps"):
        run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
