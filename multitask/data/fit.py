"""Fitting a part of an image to the size of the network's input where their shapes differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from multitask.data.crop import Region
from multitask.data.image_facts import FitCounts

FitName = Literal["crop", "pad", "stretch"]

_NEGLIGIBLE = 0.01
"""Less of an image is rounding."""


def crop_box(width: int, height: int, region: Region, aspect: float) -> tuple[float, float, float, float]:
    """The largest box of the given aspect (width / height) in the middle of a region, in pixels."""
    left, top, right, bottom = region_box(width, height, region)
    box_width = min(right - left, (bottom - top) * aspect)
    box_height = box_width / aspect
    # The limits are for rounding: Pillow refuses a box that leaves the image by the last bit of a float.
    x, y = max(0.0, (left + right - box_width) / 2), max(0.0, (top + bottom - box_height) / 2)
    return x, y, min(x + box_width, width), min(y + box_height, height)


def region_box(width: int, height: int, region: Region) -> tuple[float, float, float, float]:
    """A region in pixels of an image of that size."""
    return region[0] * width, region[1] * height, region[2] * width, region[3] * height


def inner_size(fit: FitName, width: int, height: int, region: Region, size: tuple[int, int]) -> tuple[int, int]:
    """Width and height in pixels that a region is scaled to: those of the input, unless it is padded.

    Args:
        fit: the setting.
        width: of the image, in pixels.
        height: likewise.
        region: the part of it.
        size: height and width of the input, in pixels.
    """
    if fit != "pad":
        return size[1], size[0]
    left, top, right, bottom = region_box(width, height, region)
    scale = min(size[1] / (right - left), size[0] / (bottom - top))
    inner = (round((right - left) * scale), round((bottom - top) * scale))
    return min(max(1, inner[0]), size[1]), min(max(1, inner[1]), size[0])


def excess(width: int, height: int, region: Region, aspect: float) -> float:
    """The share of its side by which a region is wider (above 0) or taller (below 0) than an aspect.

    It is what ``crop`` cuts off the region, both ends together, what ``pad`` leaves empty of the input, and by how much
    ``stretch`` squeezes.
    """
    left, top, right, bottom = region_box(width, height, region)
    ratio = (right - left) / (bottom - top) / aspect
    return 1 - 1 / ratio if ratio > 1 else ratio - 1


def fit_counts(fit: FitName, size: tuple[int, int], shares: NDArray[np.float64], images: Sequence[str]) -> FitCounts:
    """The effect of the fit on some images.

    Args:
        fit: the setting.
        size: height and width of the input, in pixels.
        shares: (N,) ``excess`` of each.
        images: N names.
    """
    changed = np.abs(shares) >= _NEGLIGIBLE
    counts = FitCounts(
        name=fit,
        image_size=size,
        num_measured=len(shares),
        num_wide=int((changed & (shares > 0)).sum()),
        num_tall=int((changed & (shares < 0)).sum()),
    )
    if not changed.any():
        return counts
    worst = int(np.abs(shares).argmax())
    median = float(np.median(np.abs(shares[changed])))
    return replace(counts, median=median, max=float(abs(shares[worst])), most=str(images[worst]))
