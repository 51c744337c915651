"""Speed on the machine at hand, as ratios measured side by side: what a machine is worth cancels out."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from multitask.config import Config, load_config
from multitask.data.drawing import draw_set
from multitask.data.loading import Batch, Batches
from multitask.errors import UserError
from multitask.evaluation.decode import AnyDecode, Evidence, Known
from multitask.labels import LabelSpace
from multitask.material import Material
from multitask.model.backbone import Backbone
from multitask.run import build_network, build_trainer
from multitask.seeds import derive
from multitask.settings import variant_classes
from multitask.shipped import config_file
from multitask.training.device import resolve_device
from multitask.training.loop import Trainer
from multitask.training.progress import Progress

from torchvision import transforms  # isort: skip  (after backbone, which makes it importable)

ROUNDS = 9
BATCHES = 6
"""Of an epoch. A round's two sides take turns, so that a machine that slows down slows both."""
STEP_ROUNDS = 21
STEPS = 3
"""Of the comparison of single steps, whose difference is a hundredth and drowns in longer turns' noise."""
PICTURES = 300
DECODED = 20_000
DECODE_S = 2.0
"""How long fitting a decode rule on ``DECODED`` pictures may take."""
PEOPLE = 40


@dataclass(frozen=True)
class Measurement:
    """Two ways of doing the same, side by side.

    Attributes:
        name: what was measured.
        ratio: our speed over the other's; the median over the rounds.
        low: a quarter of the rounds are below; None where there was one round.
        high: a quarter are above.
        bound: what the ratio should at least be; None: there is no bound.
        ours: our speed, the median, in ``unit``.
        other: likewise.
        unit: of both.
        note: what else should be known.
    """

    name: str
    ratio: float
    low: float | None
    high: float | None
    bound: float | None
    ours: float
    other: float
    unit: str = "images/s"
    note: str = ""


def side_by_side(
    name: str,
    bound: float | None,
    amount: int,
    ours: Callable[[], object],
    other: Callable[[], object],
    rounds: int,
    unit: str = "images/s",
) -> Measurement:
    """Times two ways of doing the same in turns.

    Args:
        name: what is measured.
        bound: what the ratio of the speeds should at least be; None: there is no bound.
        amount: how much either does at a time.
        ours: one way.
        other: the other.
        rounds: turns of each.
        unit: of the speeds, amount per second.
    """

    def timed(work: Callable[[], object]) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - started

    timed(ours), timed(other)  # both once unmeasured: caches, memory pools, threads
    took = []
    for number in range(rounds):
        # Who goes first alternates, so that neither always follows the other's heat.
        if number % 2:
            late = timed(other)
            took.append((timed(ours), late))
        else:
            took.append((timed(ours), timed(other)))
    ratios = [theirs / mine for mine, theirs in took]
    mine, theirs = (statistics.median(amount / seconds for seconds in side) for side in zip(*took, strict=True))
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return Measurement(name, statistics.median(ratios), low, high, bound, mine, theirs, unit)


class Served(Batches):
    """Batches that were made before: training from these is compute alone."""

    def __init__(self, batches: list[Batch]) -> None:
        self._batches = batches
        self.num_batches = len(batches)
        self.num_images = sum(len(batch) for batch in batches)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The same ones at every epoch."""
        yield from self._batches


@contextmanager
def benched(config_path: Path | None) -> Iterator[Config]:
    """The config that is measured.

    Args:
        config_path: its file; None: three heads on MobileNetV2 at 128 x 96 px, and pictures that are drawn for as long.

    Raises:
        UserError: the config is not as it must be.
    """
    if config_path is not None:
        yield load_config(config_path)
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        draw_set(root, people=PEOPLE)
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


def some_batches(config: Config, material: Material, progress: Progress) -> Batches:
    """The first batches' worth of training pictures, from files.

    Raises:
        UserError: there are less than a batch.
    """
    size = config.training.batch_size
    indices = material.split.train[: BATCHES * size]
    if len(indices) < size:
        raise UserError(f"bench: needs {size} training pictures, found {len(indices)}")
    return material.batches("train", progress, resolve_device(config.device), train=True, indices=indices)


def measure(config_path: Path | None, progress: Progress) -> list[Measurement]:
    """The speed of training and loading.

    Args:
        config_path: whose network, data and settings; None: three heads on MobileNetV2 at 128 x 96 px, and drawn
            pictures.
        progress: hears of each measurement.

    Raises:
        UserError: the config or its data are not as they must be.
    """
    with benched(config_path) as config:
        device = resolve_device(config.device)
        material = Material(config)
        from_files = some_batches(config, material, progress)
        served = Served(list(from_files.epoch(1)))
        trainer = build_trainer(config, material, build_network(config, device, pretrained=False), served.num_batches)
        done = progress.stage("measuring", 4, "ratios")
        found = []
        for count, one in enumerate((_heads, _feeding, _loading), start=1):
            found.append(one(config, material, trainer, served, from_files))
            done(count)
        found.append(decode_fitting(material.space))
        done(4)
        return found


def _heads(config: Config, material: Material, trainer: Trainer, served: Served, from_files: Batches) -> Measurement:
    """A step of the trainer against a plain loop over the bare backbone with one linear layer."""
    device = trainer.device
    steps = Served(list(served.epoch(1))[:STEPS])
    backbone = Backbone(config.model.backbone, config.data.image_size, pretrained=False)
    plain = nn.Sequential(backbone.body, nn.Flatten(), nn.Linear(backbone.widths.pooled, material.space.num_classes))
    plain = plain.to(memory_format=torch.channels_last).to(device).train()  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(plain.parameters(), lr=config.training.lr)
    criterion = nn.CrossEntropyLoss()
    ready = [(batch.images.to(device), _classes(batch, material).to(device)) for batch in steps.epoch(1)]

    def plain_loop() -> None:
        for images, classes in ready:
            optimizer.zero_grad()
            with trainer.autocast():
                logits = plain(material.preprocessing.normalise(images))  # both sides begin with the same bytes
            criterion(logits.float(), classes).backward()
            optimizer.step()

    def ours() -> None:
        trainer.train_epoch(1, steps, Progress())

    name = f"training, {len(trainer.losses)} heads, to one linear layer in a plain loop"
    return side_by_side(name, 0.97, steps.num_images, ours, plain_loop, STEP_ROUNDS)


def _classes(batch: Batch, material: Material) -> torch.Tensor:
    """(B,) the classes of a batch, whose labels are the heads'."""
    return torch.from_numpy(material.learned.encode(batch.labels.numpy()))


def _feeding(config: Config, material: Material, trainer: Trainer, served: Served, from_files: Batches) -> Measurement:
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


def decode_fitting(space: LabelSpace) -> Measurement:
    """Fitting the slowest decode rule on drawn answers, against the time it may take."""
    rng = np.random.default_rng(0)
    labels = space.decode(rng.choice(np.flatnonzero(space.possible), DECODED))
    log_probs = {
        task.name: torch.from_numpy(rng.normal(size=(DECODED, task.num_classes)) + 2 * np.eye(task.num_classes)[column])
        for task, column in zip(space.tasks, labels.T, strict=True)
    }
    evidence = Evidence.of({name: values.log_softmax(dim=1) for name, values in log_probs.items()}, space)
    groups = np.array([f"person {row // 7}" for row in range(DECODED)], dtype=object)
    known = Known(evidence, labels, groups)
    took = {}
    for name, settings in variant_classes(AnyDecode).items():
        rule: Any = settings()
        started = time.perf_counter()
        rule.fit(known, None, 0)
        took[name] = time.perf_counter() - started
    slowest = max(took, key=lambda name: took[name])
    seconds = took[slowest]
    return Measurement(
        f"decode fitting, {DECODED:,} pictures and {space.num_classes} classes, to {DECODE_S:g} s",
        DECODE_S / seconds,
        None,
        None,
        1.0,
        seconds,
        DECODE_S,
        "s",
        f"the slowest rule, {slowest}; " + ", ".join(f"{name} {value:.2f} s" for name, value in took.items()),
    )


def _train(trainer: Trainer, epoch: int, batches: Batches) -> None:
    trainer.train_epoch(epoch, batches, Progress())


def _loading(config: Config, material: Material, trainer: Trainer, served: Served, from_files: Batches) -> Measurement:
    """JPEG files to pixels of the network's size, one thread, against Pillow with torchvision's Resize and ToTensor."""
    jpegs = [path for path in material.samples.paths() if path.suffix.lower() in (".jpg", ".jpeg")]
    order = np.random.default_rng(derive(config.seed, "bench")).permutation(len(jpegs))[:PICTURES]
    if not len(order):
        raise UserError(f"bench: there is no JPEG file in {config.data.root}")
    paths = [jpegs[index] for index in order]
    plain = transforms.Compose([transforms.Resize(config.data.image_size), transforms.ToTensor()])

    def other() -> None:
        for path in paths:
            with Image.open(path) as image:
                plain(image.convert("RGB"))

    def ours() -> None:
        for path in paths:
            material.preprocessing.load(path)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return side_by_side("loading JPEG, to Pillow + torchvision", 3.0, len(paths), ours, other, ROUNDS)
    finally:
        torch.set_num_threads(threads)
