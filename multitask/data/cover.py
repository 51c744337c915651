"""Covers: a shape over a part of an image, as a mask would hide it, where what it hides is asked of no label."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from multitask.data.augment_settings import CoverSettings
from multitask.data.images import Pixels

_JITTER = 0.15
"""How far an edge of the shape may lie from the box's, in widths or heights of the box."""


def cover(images: Pixels, settings: CoverSettings, seed: int, num_before: int = 0) -> None:
    """Covers a share of the images in place, each by a superellipse of its own size, roundness and colours.

    That is |x|^p + |y|^p <= 1, with x and y from -1 to 1 between its sides and p its roundness, from 2 to 5. What an
    image gets depends on the seed and on its place in the batch alone.

    Args:
        images: (B, H, W, 3) uint8.
        settings: how often, and where.
        seed: of the batch.
        num_before: how many images the batch has before these.
    """
    rng = np.random.default_rng(seed)
    # Row by row: those of an image are the same in a longer batch.
    draws = rng.random((num_before + len(images), 2))[num_before:]
    for image, (draw, own_seed) in zip(images, draws, strict=True):
        if draw < settings.share:
            _cover(image, settings, np.random.default_rng(int(own_seed * 2**53)))


def _cover(image: NDArray[np.uint8], settings: CoverSettings, rng: np.random.Generator) -> None:
    height, width = image.shape[:2]
    sides = np.array([settings.left, settings.top, settings.right, settings.bottom])
    extent = np.tile(sides[2:] - sides[:2], 2)
    left, top, right, bottom = sides + extent * rng.uniform(-_JITTER, _JITTER, 4)
    x = (np.arange(width) + 0.5) / width
    y = (np.arange(height) + 0.5) / height
    power = rng.uniform(2, 5)  # of an ellipse 2; the larger, the squarer
    across = np.abs((2 * x - left - right) / (right - left)) ** power
    down = np.abs((2 * y - top - bottom) / (bottom - top)) ** power
    inside = across + down[:, None] <= 1
    base = rng.uniform(0, 255) + rng.uniform(-60, 60, 3)
    pattern = base + rng.uniform(0, 50) * rng.standard_normal((8, 8, 3))
    cloth = cv2.resize(pattern.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    image[inside] = np.clip(cloth[inside], 0, 255).astype(np.uint8)
