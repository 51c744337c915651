"""Augmentation of single images: families of transforms under one strength."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else its import asks the network for the newest version
import albumentations as A
import cv2

from multitask.data.augment_settings import AugmentSettings
from multitask.data.cover import cover
from multitask.data.images import Pixels
from multitask.utils.seeds import derive

_FILL = cv2.BORDER_REFLECT_101


def _geometry(s: float) -> list[A.BasicTransform]:
    return [
        A.Affine(
            rotate=(-25 * s, 25 * s),
            scale=(1 - 0.2 * s, 1 + 0.2 * s),
            translate_percent=(-0.12 * s, 0.12 * s),
            shear=(-8 * s, 8 * s),
            border_mode=_FILL,
            p=min(1.0, 1.2 * s),
        ),
    ]


def _colour(s: float) -> list[A.BasicTransform]:
    return [
        A.RandomBrightnessContrast(brightness_limit=0.4 * s, contrast_limit=0.4 * s, p=0.8 * s),
        A.HueSaturationValue(hue_shift_limit=14 * s, sat_shift_limit=50 * s, val_shift_limit=0, p=0.5 * s),
        A.RandomGamma(gamma_limit=(100 - 40 * s, 100 + 40 * s), p=0.3 * s),
    ]


def _noise(s: float) -> list[A.BasicTransform]:
    return [
        A.GaussianBlur(blur_limit=0, sigma_limit=(0.1, 0.1 + 1.7 * s), p=0.3 * s),
        A.GaussNoise(std_range=(0.0, 0.1 * s), p=0.3 * s),
        A.ImageCompression(quality_range=(round(95 - 55 * s), 95), p=0.3 * s),
    ]


def _occlusion(s: float) -> list[A.BasicTransform]:
    return [
        A.CoarseDropout(
            num_holes_range=(1, 1 + round(3 * s)),
            hole_height_range=(0.05, 0.05 + 0.3 * s),
            hole_width_range=(0.05, 0.05 + 0.3 * s),
            fill="random_uniform",
            p=0.6 * s,
        ),
    ]


FAMILIES: dict[str, Callable[[float], list[A.BasicTransform]]] = {
    "geometry": _geometry,
    "colour": _colour,
    "noise": _noise,
    "occlusion": _occlusion,
}
"""The table of families: each makes its transforms from its own strength in (0, 1]. What a transform draws from its own
generators must not depend on what is in an image, and it must draw it as its parameters, not as it applies them: other
processes draw it without the image."""


def transforms(settings: AugmentSettings) -> list[A.BasicTransform]:
    """The transforms of all families that are not at 0, in the order in which they are applied."""
    chosen: list[A.BasicTransform] = []
    for family, make in FAMILIES.items():
        strength = min(1.0, settings.strength * getattr(settings, family))
        if strength == 0:
            continue
        if family == "geometry" and settings.flip:
            chosen.append(A.HorizontalFlip(p=0.5 * min(1.0, 2 * strength)))
            if settings.flip == "alone":
                continue
        chosen += make(strength)
    return chosen


class Augmentation:
    """Changes images at random, the same way for the same seed.

    Args:
        settings: families and strength.
        own: by source, where its images are augmented otherwise.
    """

    def __init__(self, settings: AugmentSettings, own: Mapping[str, AugmentSettings] | None = None) -> None:
        self._own = {name: Augmentation(of_source) for name, of_source in (own or {}).items()}
        cv2.setNumThreads(0)  # a batch is one thread's work; OpenCV's own threads would fight the network's
        chosen = transforms(settings)
        self._cover = settings.covered
        # Flips are cheaper than Albumentations' way to them.
        self._flip_prob = chosen[0].p if [type(one) for one in chosen] == [A.HorizontalFlip] else 0.0
        self._compose: Any = A.Compose(chosen) if chosen and not self._flip_prob else None

    def __call__(
        self,
        images: Sequence[Pixels] | Pixels,
        seed: int,
        sources: NDArray[np.object_] | None = None,
        num_before: int = 0,
    ) -> Pixels:
        """A batch of changed images, or the end of one, changed as in the whole.

        Args:
            images: B of (H, W, 3) uint8.
            seed: of everything random in the batch.
            sources: (``num_before`` + B,) the source of each; None: none has an augmentation of its own.
            num_before: how many images of the same shape the batch has before these. What those draw is drawn, which
                costs about a quarter of what changing them does.

        Returns:
            (B, H, W, 3) uint8.
        """
        if self._own and sources is not None:
            return self._by_source(np.array(images), seed, sources, num_before)
        return self._changed(images, seed, num_before)

    def _by_source(self, images: Pixels, seed: int, sources: NDArray[np.object_], num_before: int) -> Pixels:
        def change(augmentation: Augmentation, which: NDArray[np.bool_], seed: int) -> None:
            rows = which[num_before:]
            if rows.any():
                images[rows] = augmentation(images[rows], seed, num_before=int(which[:num_before].sum()))

        change(self, ~np.isin(sources.astype(str), list(self._own)), seed)
        for name, augmentation in self._own.items():
            change(augmentation, sources == name, derive(seed, "source", name))
        return images

    def _changed(self, images: Sequence[Pixels] | Pixels, seed: int, num_before: int) -> Pixels:
        if self._cover is not None:  # before all else, so that a cover is moved, lit and blurred with what it lies on
            images = np.array(images)
            cover(images, self._cover, derive(seed, "cover"), num_before)
        if self._flip_prob:
            draws = np.random.default_rng(seed).random(num_before + len(images))
            return _flipped(images, draws[num_before:] < self._flip_prob)
        if self._compose is None:
            return np.array(images)
        # One stream for all transforms. Its own set_random_seed starts one in each from the same seed, so that they
        # draw alike: an image would be blurred, noisy and compressed all at once or not at all.
        self._compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
        if num_before:
            # What an image draws depends on its shape alone.
            with _draws_alone(self._compose.transforms):
                for _ in range(num_before):
                    self._compose(image=images[0])
        return np.stack([self._compose(image=image)["image"] for image in images])


@contextmanager
def _draws_alone(chosen: Sequence[A.BasicTransform]) -> Iterator[None]:
    """A context in which transforms draw their parameters as ever, and give back what they are given."""
    for transform in chosen:
        vars(transform)["apply_with_params"] = lambda params, **data: data
    try:
        yield
    finally:
        for transform in chosen:
            del vars(transform)["apply_with_params"]


def _flipped(images: Sequence[Pixels] | Pixels, which: NDArray[np.bool_]) -> Pixels:
    changed = np.empty((len(images), *images[0].shape), dtype=np.uint8)
    for before, after, flip in zip(images, changed, which, strict=True):
        if flip:
            cv2.flip(before, 1, dst=after)  # six times as fast as a view that NumPy would have to copy
        else:
            after[...] = before
    return changed
