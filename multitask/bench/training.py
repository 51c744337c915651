"""Training beside a plain loop, and feeding it; with the other measurements that ``multitask bench`` makes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from multitask.bench.data import NUM_DATA, measure_data
from multitask.bench.decoding import decode_fitting
from multitask.bench.timing import Measurement, built_in_both_orders, computing, of_speeds, side_by_side
from multitask.config import Config, load_config
from multitask.data.batch import Batch
from multitask.data.loading import Batches
from multitask.data.mixup import BatchTargets
from multitask.data.synthetic import draw_set
from multitask.errors import UserError
from multitask.labels import LabelSpace
from multitask.model.backbone import Backbone
from multitask.model.settings import BackboneSettings
from multitask.progress import Progress
from multitask.runs.build import TrainingSetup
from multitask.runs.data_module import DataModule
from multitask.training.loop import Trainer
from multitask.utils.shipped import config_file

ROUNDS = 9
BATCHES = 6
"""Of an epoch. A round's two sides take turns, so that a machine that slows down slows both."""
STEP_ROUNDS = 32
STEPS = 2
"""Of the comparison of single steps, whose difference is a hundredth and drowns in longer turns' noise."""
NUM_IMAGES = 300
PEOPLE = 40


class Served(Batches):
    """Batches that were made before: training from these is compute alone."""

    def __init__(self, batches: list[Batch]) -> None:
        self._batches = batches
        self.num_batches = len(batches)
        self.num_images = sum(len(batch) for batch in batches)

    def epoch(self, epoch: int, done: int = 0) -> Iterator[Batch]:
        """The batches, the same whatever the epoch."""
        yield from self._batches[done:]

    def labelled_weights(self, epoch: int) -> NDArray[np.float64]:
        """(batches, T) the weight of the labelled samples, as of ``Batches``; the same whatever the epoch."""
        weights = [
            BatchTargets(batch.labels, batch.weights, batch.numbers).labelled_weights() for batch in self._batches
        ]
        return torch.stack(weights).double().numpy()


@contextmanager
def benched(config_path: Path | None, people: int = PEOPLE) -> Iterator[Config]:
    """The config that is measured.

    Args:
        config_path: its file; None: three heads on MobileNetV2 at 128 x 96 px, and images that are drawn for as long.
        people: how many are drawn.

    Raises:
        UserError: the config is not as it must be.
    """
    if config_path is not None:
        yield load_config(config_path)
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        draw_set(root, people=people)
        yield load_config(
            config_file("demo"),
            [
                f"data.root={root}",
                "data.image_size=[128, 96]",
                "model.backbone={name: mobilenetv2_100, weights: none}",
                "training.batch_size=64",
                "training.ema=null",  # which the plain loop has not either
            ],
        )


def some_batches(setup: TrainingSetup, progress: Progress) -> Batches:
    """The first batches' worth of training images, from files.

    Raises:
        UserError: there are less than a batch.
    """
    data, size = setup.data, setup.data.batch_size
    indices = data.split.train[: BATCHES * size]
    if len(indices) < size:
        raise UserError(f"bench: needs {size:,} training images, found {len(indices):,}")
    return data.batches("train", progress, setup.device, train=True, indices=indices)


def measure(config_path: Path | None, progress: Progress) -> list[Measurement]:
    """The speed of training and loading.

    Args:
        config_path: whose network, data and settings; None: three heads on MobileNetV2 at 128 x 96 px, and drawn
            images.
        progress: notified of each measurement.

    Raises:
        UserError: the config or its data are not as they must be.
    """
    with benched(config_path) as config:
        data = DataModule(config)
        setup = TrainingSetup(config, data)
        from_files = some_batches(setup, progress)
        served = Served(list(from_files.epoch(1)))
        trainer = setup.trainer(served.num_batches)
        comparisons: tuple[Callable[[], Measurement], ...] = (
            lambda: _heads(setup, config.model.backbone, config.training.lr, served),
            lambda: _feeding(trainer, served, from_files),
            lambda: _waiting(trainer, from_files),
        )
        done = progress.stage("measuring", 4 + NUM_DATA, "ratios")
        found = []
        for comparison in comparisons:
            found.append(comparison())
            done(len(found))
        for measured in measure_data(data, config.seed, NUM_IMAGES, ROUNDS):
            found.append(measured)
            done(len(found))
        found.append(decode_fitting(data.space))
        done(len(found))
        return found


def _heads(setup: TrainingSetup, settings: BackboneSettings, lr: float, served: Served) -> Measurement:
    """A step of the trainer against a plain loop over the bare backbone with one linear layer."""
    data, device = setup.data, setup.device
    steps = Served(list(served.epoch(1))[:STEPS])
    ready = [(batch.images.to(device), _classes(batch, data.learned).to(device)) for batch in steps.epoch(1)]

    def ours() -> Callable[[], object]:
        return partial(setup.trainer(STEPS).train_epoch, 1, steps, Progress())

    def plain() -> Callable[[], object]:
        backbone = Backbone(settings, data.preprocessing.size, pretrained=False)
        network = nn.Sequential(backbone.body, nn.Flatten(), nn.Linear(backbone.widths.pooled, data.space.num_classes))
        network = network.to(memory_format=torch.channels_last).to(device).train()  # type: ignore[call-overload]
        optimizer = torch.optim.AdamW(network.parameters(), lr=lr)
        criterion = nn.CrossEntropyLoss()
        half = setup.dtype != torch.float32

        def loop() -> None:
            for images, classes in ready:
                optimizer.zero_grad()
                with torch.autocast(device.type, dtype=setup.dtype, enabled=half):
                    logits = network(data.preprocessing.normalise(images))  # both sides begin with the same bytes
                criterion(logits.float(), classes).backward()
                optimizer.step()

        return loop

    name = f"training, {data.targets(data.samples).labels.shape[1]} heads, to one linear layer in a plain loop"
    sides = built_in_both_orders(ours, plain)
    with computing(device) as clock:
        return side_by_side(name, 0.97, steps.num_images, *sides, STEP_ROUNDS, clock=clock)


def _classes(batch: Batch, learned: LabelSpace) -> torch.Tensor:
    """(B,) the classes of a batch, whose labels are the heads'."""
    return torch.from_numpy(learned.encode(batch.labels.numpy()))


def _feeding(trainer: Trainer, served: Served, from_files: Batches) -> Measurement:
    """An epoch from files after the first one, with augmentation, against the same epoch from batches in memory."""
    epochs = iter(range(2, 10_000))
    return side_by_side(
        "training from files, to compute alone",
        0.95,
        served.num_images,
        lambda: _train(trainer, next(epochs), from_files),
        lambda: _train(trainer, 1, served),
        ROUNDS,
    )


def _train(trainer: Trainer, epoch: int, batches: Batches) -> None:
    trainer.train_epoch(epoch, batches, Progress())


class _Watched(Batches):
    """Batches whose consumer is timed while it waits for one."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self.num_batches, self.num_images = batches.num_batches, batches.num_images
        self.waited_s = 0.0

    def epoch(self, epoch: int, done: int = 0) -> Iterator[Batch]:
        """The epoch's batches; the time until each of them is there is added to ``waited_s``."""
        batches = self._batches.epoch(epoch, done)
        while True:
            began = time.perf_counter()
            batch = next(batches, None)
            self.waited_s += time.perf_counter() - began
            if batch is None:
                return
            yield batch

    def labelled_weights(self, epoch: int) -> NDArray[np.float64]:
        """(batches, T) the weight of the labelled samples of the batches that are watched."""
        return self._batches.labelled_weights(epoch)


def _waiting(trainer: Trainer, from_files: Batches) -> Measurement:
    """What waiting for data leaves of the speed of training; an epoch's first batch, which nothing hides, with it."""
    speeds = []
    for epoch in range(2, 2 + ROUNDS):
        watched = _Watched(from_files)
        began = time.perf_counter()
        _train(trainer, epoch, watched)
        took = time.perf_counter() - began
        speeds.append((watched.num_images / took, watched.num_images / (took - watched.waited_s)))
    return of_speeds("training with its waits for data, to training without them", 0.98, speeds)
