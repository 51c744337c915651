"""The images that an export is calibrated and checked with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from multitask.data.dataset import Dataset
from multitask.data.framing import spread
from multitask.data.image_store import ImageStore
from multitask.data.images import Pixels
from multitask.errors import UserError
from multitask.inference.spec import InferenceSpec
from multitask.progress import Progress
from multitask.runs.config import TrainedRun

NUM_IMAGES = 256
"""At most; of more training images so many, spread evenly."""
LEAST_IMAGES = 36
"""For batches of 1, 2 and 33; fewer training images are repeated."""


@dataclass(frozen=True, eq=False)
class CheckImages:
    """Images that a network is compared on.

    Attributes:
        pixels: (N, H, W, 3), N >= ``LEAST_IMAGES``.
        kind: ``training``: those of the run's data; ``random``: noise.
        why: why they are random; empty where they are not.
    """

    pixels: Pixels
    kind: Literal["training", "random"]
    why: str = ""


def check_images(trained: TrainedRun, spec: InferenceSpec) -> CheckImages:
    """Training images of a run or, where its data cannot be read any more, random ones."""
    try:
        return CheckImages(_at_least(_training_images(trained, spec)), "training")
    except (UserError, OSError) as error:
        noise = np.random.default_rng(0).integers(0, 256, (LEAST_IMAGES, *spec.image_size, 3), dtype=np.uint8)
        return CheckImages(noise, "random", str(error))


def _training_images(trained: TrainedRun, spec: InferenceSpec) -> Pixels:
    config = trained.config
    samples = Dataset.read(config.data, config.space(), config.seed).training_samples()
    samples = samples.take(spread(len(samples), NUM_IMAGES))
    preprocessing = spec.preprocessing()
    if spec.tiles is not None:  # of which no source has its own
        return np.stack([preprocessing.load(path) for path in samples.paths()])
    store = ImageStore(config.data, samples, preprocessing)
    return np.stack([store.image(index, Progress()) for index in range(len(samples))])


def _at_least(pixels: Pixels) -> Pixels:
    return np.resize(pixels, (max(len(pixels), LEAST_IMAGES), *pixels.shape[1:]))
