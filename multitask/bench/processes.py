"""Training over two processes of one thread, beside one process of one thread."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from multitask.bench.timing import Measurement, of_speeds
from multitask.bench.training import benched
from multitask.bench.whole import EQUAL_EPOCHS, PEOPLE, TrainProgram
from multitask.progress import Progress

ROUNDS = 3


class LaunchedTraining(TrainProgram):
    """``torchrun -m multitask train`` with so many processes of one thread, on this machine's CPU."""

    environment: Mapping[str, str] = {"OMP_NUM_THREADS": "1"}

    def __init__(self, num: int, config: str, extended: bool, folder: Path) -> None:
        super().__init__(config, extended, folder)
        self._num = num

    def words(self, out: Path) -> list[str]:
        """The launcher, and what it launches."""
        launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(self._num), "-m"]
        return [*launcher, *super().words(out)]


def measure_processes(config_path: Path | None, progress: Progress) -> list[Measurement]:
    """The ratio of the images a second within epochs.

    Args:
        config_path: whose images, network and settings of training; None: three heads on MobileNetV2 at 128 x 96 px,
            and drawn images.
        progress: notified of each launch.

    Raises:
        UserError: the config or its data are not as they must be, or one of the launches fails.
    """
    with benched(config_path, PEOPLE) as base, tempfile.TemporaryDirectory() as name:
        config = base.with_changes({"device": "cpu", **EQUAL_EPOCHS})
        sides = []
        for num in (2, 1):
            (folder := Path(name, str(num))).mkdir()
            sides.append(LaunchedTraining(num, config.to_yaml(), bool(config.extensions), folder))
        done, finished = progress.stage("measuring", 2 * (ROUNDS + 1), "launches"), count(1)
        for number in range(ROUNDS + 1):
            for side in sides if number % 2 else reversed(sides):  # neither always follows the other's heat
                side()
                done(next(finished))
        two, one = (side.speeds[1:] for side in sides)  # the first warmed up
        return [of_speeds("training, two processes of one thread to one", 1.8, list(zip(two, one, strict=True)))]
