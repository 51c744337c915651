"""Places: which part of an image the network sees, and where in the network's input it lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multitask.data.crop import Box, FitName, Region
from multitask.data.fit import crop_box, inner_size, region_box


@dataclass(frozen=True)
class Placement:
    """The part of an upright image that the network sees, and where in its input that lies.

    Attributes:
        part: left, top, right and bottom in pixels of the image.
        inner: likewise in pixels of the input: all of it, unless it is padded.
    """

    part: tuple[float, float, float, float]
    inner: tuple[float, float, float, float]

    @classmethod
    def of(cls, fit: FitName, width: int, height: int, region: Region, size: tuple[int, int]) -> Placement:
        """The placement of an image.

        Args:
            fit: the setting.
            width: of the upright image, in pixels.
            height: likewise.
            region: the part of it that the crop leaves.
            size: height and width of the input, in pixels.
        """
        inner = inner_size(fit, width, height, region, size)
        left, top = (size[1] - inner[0]) // 2, (size[0] - inner[1]) // 2
        return cls(seen_part(fit, width, height, region, size), (left, top, left + inner[0], top + inner[1]))

    def to_input(self, box: Box) -> Box:
        """A (4,) box in pixels of the image, in pixels of the input; it may reach beyond it."""
        part, inner = np.array(self.part).reshape(2, 2), np.array(self.inner).reshape(2, 2)
        scale = (inner[1] - inner[0]) / (part[1] - part[0])
        found: Box = ((box.reshape(2, 2) - part[0]) * scale + inner[0]).ravel()
        return found


def seen_part(
    fit: FitName, width: int, height: int, region: Region, size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """The part of an image that the network sees, in its pixels; arguments as of ``Placement.of``."""
    if fit == "crop":
        return crop_box(width, height, region, size[1] / size[0])
    return region_box(width, height, region)
