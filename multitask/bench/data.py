"""The speed of what comes before training, as ratios on one core: reading, the cache, augmentation."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import albumentations as A
import numpy as np
import torch
from numpy.typing import NDArray

import multitask.model.vision_ops  # noqa: F401  (before torchvision)
from multitask.bench.timing import Measurement, one_core, side_by_side
from multitask.data.augment import Augmentation, transforms
from multitask.data.augment_settings import AugmentSettings
from multitask.data.image_cache import ImageCache, SharedPixels
from multitask.data.image_file import open_image
from multitask.data.loading import Batches
from multitask.data.samples import Samples
from multitask.errors import UserError
from multitask.runs.data_module import DataModule
from multitask.utils.files import content_digest
from multitask.utils.seeds import derive

from torchvision import transforms as plain_transforms  # isort: skip

NUM_DATA = 3
"""The number of ratios that ``measure_data`` gives."""
EPOCHS = 20
"""From the cache, for one of the other side: one alone takes a few milliseconds."""
FLIPS = AugmentSettings(strength=1.0, flip="alone", colour=0.0, noise=0.0, occlusion=0.0)


def measure_data(data: DataModule, seed: int, num_images: int, rounds: int) -> Iterator[Measurement]:
    """The ratios, one after the other.

    Args:
        data: whose images; of these, JPEG files.
        seed: of which images.
        num_images: at most so many.
        rounds: turns of each side.

    Raises:
        UserError: there is no JPEG file among the images.
    """
    suffixes = [Path(image).suffix.lower() for image in data.samples.images]
    jpegs = np.flatnonzero(np.isin(suffixes, [".jpg", ".jpeg"]))
    chosen = np.random.default_rng(derive(seed, "bench")).permutation(jpegs)[:num_images]
    if not len(chosen):
        raise UserError(f"bench: there is no JPEG file in {data.samples.root}")
    with one_core():
        yield _loading(data, chosen, rounds)
        yield _cached(data, chosen, rounds)
        yield _augmenting(data, chosen, rounds)


def _loading(data: DataModule, chosen: NDArray[np.int64], rounds: int) -> Measurement:
    """JPEG files to pixels of the network's size, against Pillow with torchvision's Resize and ToTensor."""
    paths = list(data.samples.take(chosen).paths())
    plain = _plain(data.preprocessing.size)

    def ours() -> None:
        for path in paths:
            data.preprocessing.load(path)

    def other() -> None:
        for path in paths:
            plain(path)

    return side_by_side(
        "loading JPEG, to Pillow + torchvision", 3.0, len(paths), ours, other, rounds, clock=time.process_time
    )


def _plain(size: tuple[int, int], *more: object) -> Callable[[Path], torch.Tensor]:
    """An image as most loaders read it."""
    resize = plain_transforms.Resize(size)
    chain = plain_transforms.Compose([resize, *more, plain_transforms.ToTensor()])

    def load(path: Path) -> torch.Tensor:
        with open_image(path) as image:
            tensor: torch.Tensor = chain(image.convert("RGB"))
        return tensor

    return load


def _cached(data: DataModule, chosen: NDArray[np.int64], rounds: int) -> Measurement:
    """Batches from the cache on disk, flipped at random, against the same from files, one core."""
    samples: Samples = data.samples.take(chosen)
    paths, size = list(samples.paths()), data.batch_size
    plain = _plain(data.preprocessing.size, plain_transforms.RandomHorizontalFlip())
    with tempfile.TemporaryDirectory() as folder:
        shared = SharedPixels(Path(folder), [content_digest(path) for path in paths])
        images = ImageCache(paths, data.preprocessing, "disk", shared=shared)
        indices = np.arange(len(paths))
        learned = data.targets(samples)
        batches = Batches(samples, learned, images, indices, size, augmentation=Augmentation(FLIPS), shuffle=True)
        epochs = count(1)

        def ours() -> None:
            for _ in range(EPOCHS):
                for _ in batches.epoch(next(epochs)):
                    pass

        def other() -> None:
            for part in np.array_split(indices, batches.num_batches):
                torch.stack([plain(paths[index]) for index in part])

        name = "batches from the cache with flips, to Pillow + torchvision"
        return side_by_side(name, 30.0, len(paths), ours, other, rounds, repeats=EPOCHS, clock=time.process_time)


def _augmenting(data: DataModule, chosen: NDArray[np.int64], rounds: int) -> Measurement:
    """All families at strength 1, against Albumentations called plainly with the same transforms and draws."""
    settings = AugmentSettings(strength=1.0)
    augmentation, plain = Augmentation(settings), A.Compose(transforms(settings))
    pixels = np.stack([data.preprocessing.load(path) for path in data.samples.take(chosen).paths()])
    batches = np.array_split(pixels, -(-len(pixels) // data.batch_size))

    def ours() -> None:
        for seed, images in enumerate(batches):
            augmentation(images, seed)

    def other() -> None:
        for seed, images in enumerate(batches):
            plain.set_random_state(np.random.default_rng(seed), random.Random(seed))
            np.stack([plain(image=image)["image"] for image in images])

    name = "augmentation at strength 1, to Albumentations called plainly"
    return side_by_side(name, 0.95, len(pixels), ours, other, rounds, clock=time.process_time)
