"""A backbone, an image size and epochs that this machine trains within an hour."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from multitask.init.image_sizes import Sizes

BUDGET_S = 3600.0
_SIZE = 128 * 96
"""Pixels at which the rates below were measured."""


@dataclass(frozen=True)
class Candidate:
    """A network that learns from nothing.

    Attributes:
        name: timm's.
        options: of it.
        cpu_rate: images of 128 x 96 a second that a core trains on.
        gpu_rate: likewise, a small GPU.
        min_images: that it needs to be worth its size.
    """

    name: str
    options: Mapping[str, object]
    cpu_rate: float
    gpu_rate: float
    min_images: int


SMALL = Candidate("resnet10t", {"channels": [32, 64, 128, 256]}, 45.0, 4000.0, 0)
CANDIDATES = (
    SMALL,
    Candidate("resnet10t", {}, 25.0, 2500.0, 3_000),
    Candidate("resnet18", {}, 17.0, 1800.0, 10_000),
    Candidate("resnet34", {}, 9.0, 1000.0, 30_000),
    Candidate("resnet50", {}, 6.0, 600.0, 60_000),
)
"""Smallest first. Rates of a core were measured on a Xeon's, beside other work; those of GPUs are guessed, and low."""


@dataclass(frozen=True)
class OwnBackbone:
    """A backbone that the user names, with a file of its weights."""

    name: str
    weights: Path


@dataclass(frozen=True)
class Plan:
    """What to train, and for how long.

    Attributes:
        backbone: the ``model.backbone`` section.
        image_size: height and width in pixels.
        epochs: of training.
        batch_size: of training.
        seconds: that it is expected to take; NaN: nobody knows.
        machine: that was counted on, in words.
    """

    backbone: dict[str, object] = field(hash=False)
    image_size: tuple[int, int]
    epochs: int
    batch_size: int
    seconds: float
    machine: str
    lr: float = 2e-3

    @property
    def in_words(self) -> str:
        """How long it should take."""
        if math.isnan(self.seconds):
            return ""
        minutes = max(1, math.ceil(self.seconds / 60))
        return f"about {minutes} {'minute' if minutes == 1 else 'minutes'} on {self.machine}, by a cautious estimate"


def plan(num_images: int, sizes: Sizes, *, gpu: bool, cores: int) -> Plan:
    """The largest network that is worth it and fits the budget; else fewer epochs, then smaller images.

    Args:
        num_images: that train.
        sizes: of a sample of them.
        gpu: whether there is one.
        cores: of the processor.
    """
    wanted = 30 if num_images < 5_000 else 20
    batch_size = 64 if num_images >= 2_000 else 32 if num_images >= 64 else 8
    machine = "a GPU" if gpu else f"{cores} CPU {'core' if cores == 1 else 'cores'}"

    def seconds(candidate: Candidate, size: tuple[int, int], epochs: int) -> float:
        rate = candidate.gpu_rate if gpu else candidate.cpu_rate * cores
        return num_images * epochs * (size[0] * size[1] / _SIZE) / rate

    def planned(candidate: Candidate, size: tuple[int, int], epochs: int) -> Plan:
        options = {"options": dict(candidate.options)} if candidate.options else {}
        backbone: dict[str, object] = {"name": candidate.name, "weights": "none", **options}
        return Plan(backbone, size, epochs, batch_size, seconds(candidate, size, epochs), machine)

    size = sizes.input_size(224 if gpu else 128)
    for candidate in reversed(CANDIDATES):
        if num_images >= candidate.min_images and seconds(candidate, size, wanted) <= BUDGET_S:
            return planned(candidate, size, wanted)
    for longest in (max(size), 96, 64):
        size = sizes.input_size(min(longest, max(size)))
        for epochs in (15, 10, 6):
            if epochs < wanted and seconds(SMALL, size, epochs) <= BUDGET_S:
                return planned(SMALL, size, epochs)
    return planned(SMALL, size, 3)


def cores_here() -> int:
    """The cores that training would use."""
    set_ = os.environ.get("OMP_NUM_THREADS", "")
    available = len(os.sched_getaffinity(0))
    return min(int(set_), available) if set_.isdigit() and int(set_) else available


def gpu_here() -> bool:
    """Whether torch would train on a GPU; torch is asked only where the system has one."""
    if not os.path.exists("/dev/nvidia0"):
        return False
    import torch

    return torch.cuda.is_available()
