"""Whole runs: ``multitask train``, from its start to its report, beside a plain timm script, each a process."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np

from multitask.bench.plain_timm import PlainSettings
from multitask.bench.timing import Measurement, of_speeds, side_by_side
from multitask.bench.training import benched
from multitask.errors import UserError
from multitask.labels import MISSING
from multitask.model.settings import BackboneSettings
from multitask.progress import Progress
from multitask.runs.data_module import DataModule
from multitask.runs.folder import RunFolder
from multitask.training.device import resolve_device
from multitask.training.settings import TrainingSettings

ROUNDS = 3
EPOCHS = 2
PEOPLE = 241
"""Seven images each: 1,351 that train and 336 that validate."""
EQUAL_EPOCHS = {
    "training.epochs": EPOCHS,
    "training.schedule.warmup_epochs": 0,
    "training.patience": None,
    "model.backbone.weights": "none",  # which change no speed
    "model.backbone.freeze": "none",
}
"""Changes to a config after which each epoch of training does the same work."""
_COMMON = {**EQUAL_EPOCHS, "training.ema": {"decay": 0.99}}


def measure_whole(config_path: Path | None, progress: Progress) -> list[Measurement]:
    """Two ratios: of the time on the wall of whole processes, and of the images a second within their epochs.

    Args:
        config_path: whose images, network and settings of training; None: three heads on MobileNetV2 at 128 x 96 px,
            and drawn images.
        progress: notified of each process.

    Raises:
        UserError: the config or its data are not as they must be, or one of the processes fails.
    """
    with benched(config_path, PEOPLE) as base, tempfile.TemporaryDirectory() as name:
        changes = _COMMON if config_path else {**_COMMON, "model.backbone.options": {"pad_type": "same"}}
        config = base.with_changes(changes)
        folder = Path(name)
        ours = TrainProgram(config.to_yaml(), bool(config.extensions), folder)
        plain = _Plain(DataModule(config), config.model.backbone, config.training, config.device, config.seed, folder)
        done = progress.stage("measuring", 2 * (ROUNDS + 1), "processes")
        finished = count(1)

        def timed(side: Callable[[], None]) -> Callable[[], None]:
            def work() -> None:
                side()
                done(next(finished))

            return work

        amount = EPOCHS * plain.num_images
        whole = side_by_side("train, start to report, to a plain timm script", 1.15, amount,
                             timed(ours), timed(plain), ROUNDS)  # fmt: skip
        steps = of_speeds("of that, the epochs of training", 0.98,
                          list(zip(ours.speeds[1:], plain.speeds[1:], strict=True)))  # fmt: skip
        note = f"processor time {ours.median_s():.1f} s to {plain.median_s():.1f} s"
        return [Measurement(**{**vars(whole), "note": note}), steps]


class Program(ABC):
    """One of two programs that are run in turn.

    Args:
        folder: for what it writes.

    Attributes:
        speeds: images per second within its epochs, a run each.
        processor_s: what a run and its own children take, a run each.
    """

    environment: Mapping[str, str] = {}
    """In addition to this process's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.speeds: list[float] = []
        self.processor_s: list[float] = []
        self._runs = count()

    def __call__(self) -> None:
        """Runs the program once; keeps its processor time and the speed of its epochs."""
        out = self.folder / f"{type(self).__name__}-{next(self._runs)}"
        out.mkdir()
        before = _children_s()
        with (out / "said").open("wb") as said:
            words = [sys.executable, "-P", "-m", *self.words(out)]
            environment = {**os.environ, **self.environment}
            code = subprocess.run(
                words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment, check=False
            ).returncode
        self.processor_s.append(_children_s() - before)
        if code:
            last = (out / "said").read_text(encoding="utf-8", errors="replace").strip().splitlines() or [""]
            raise UserError(f"bench: {self.words(out)[0]} ended with exit code {code}: {last[-1]}")
        speeds = self.epoch_speeds(out)  # of epochs that are all as long
        self.speeds.append(len(speeds) / sum(1 / speed for speed in speeds))

    @abstractmethod
    def words(self, out: Path) -> list[str]:
        """The module to run, and what it is given."""

    @abstractmethod
    def epoch_speeds(self, out: Path) -> list[float]:
        """Images per second of each epoch of a run that has ended."""

    def median_s(self) -> float:
        """Of the processor's time, without the run that warms up."""
        return float(np.median(self.processor_s[1:]))


class TrainProgram(Program):
    """``multitask train``."""

    def __init__(self, config: str, extended: bool, folder: Path) -> None:
        super().__init__(folder)
        self._config = folder / "whole.yaml"
        self._config.write_text(config, encoding="utf-8")
        self._extended = extended

    def words(self, out: Path) -> list[str]:
        """The command on the config's file."""
        allowed = ["--allow-extensions"] if self._extended else []
        return ["multitask", "train", str(self._config), "--out", str(out / "run"), *allowed]

    def epoch_speeds(self, out: Path) -> list[float]:
        """As the run has written them."""
        return [row.images_per_s or 0.0 for row in RunFolder(out / "run").read_history()]


class _Plain(Program):
    """``plain_timm``, on the same images in a folder for each class."""

    def __init__(
        self,
        data: DataModule,
        backbone: BackboneSettings,
        training: TrainingSettings,
        device: str,
        seed: int,
        folder: Path,
    ) -> None:
        super().__init__(folder)
        self.num_images = len(data.split.train)
        for split in ("train", "val"):
            _link(data, split, folder / "images")
        classes = folder / "classes.txt"  # in their order; a split may have no image of one
        classes.write_text("".join(f"{index}\n" for index in range(data.space.num_classes)), encoding="utf-8")
        assert training.ema is not None
        self._settings = partial(
            PlainSettings,
            root=str(folder / "images"),
            model=backbone.name,
            options=backbone.options,
            classes=str(classes),
            num_classes=data.space.num_classes,
            image_size=data.preprocessing.size,
            batch_size=training.batch_size,
            epochs=EPOCHS,
            lr=training.lr,
            weight_decay=training.optimizer.weight_decay,
            ema_decay=training.ema.decay,
            workers=max(1, len(os.sched_getaffinity(0))),
            device=str(resolve_device(device)),
            seed=seed,
        )

    def words(self, out: Path) -> list[str]:
        settings = out / "settings.json"
        settings.write_text(json.dumps(asdict(self._settings(out=str(out)))), encoding="utf-8")
        return ["multitask.bench.plain_timm", str(settings)]

    def epoch_speeds(self, out: Path) -> list[float]:
        speeds: list[float] = json.loads((out / "speed.json").read_text(encoding="utf-8"))["images_per_s"]
        return speeds


def _link(data: DataModule, split: str, root: Path) -> None:
    """A folder for each class with a link to each of its images."""
    samples = data.samples.take(data.dataset.indices(split))
    for number, (path, index) in enumerate(zip(samples.paths(), samples.classes, strict=True)):
        if index != MISSING:
            link = root / split / str(index) / f"{number}{path.suffix}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.absolute())


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
