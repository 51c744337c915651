"""Places: which part of an image the network sees, and where in the network's input it lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multitask.data.crop import Box, Matrix, Region
from multitask.data.fit import FitName, crop_box, inner_size, region_box


@dataclass(frozen=True)
class Placement:
    """The part of an upright image that the network sees, and where in its input that lies.

    Attributes:
        part: left, top, right and bottom in pixels of the image.
        inner: likewise in pixels of the input: all of it, unless it is padded.
        matrix: (2, 3) where the image is turned: from its pixels to those of the input.
    """

    part: tuple[float, float, float, float]
    inner: tuple[float, float, float, float]
    matrix: Matrix | None = None

    @classmethod
    def of(
        cls,
        fit: FitName,
        width: int,
        height: int,
        region: Region,
        size: tuple[int, int],
        matrix: Matrix | None = None,
    ) -> Placement:
        """The placement of an image.

        Args:
            fit: the setting.
            width: of the upright image, in pixels.
            height: likewise.
            region: the part of it that the crop leaves.
            size: height and width of the input, in pixels.
            matrix: as the attribute.
        """
        if matrix is not None:
            return cls(region_box(width, height, region), (0, 0, size[1], size[0]), matrix)
        inner = inner_size(fit, width, height, region, size)
        left, top = (size[1] - inner[0]) // 2, (size[0] - inner[1]) // 2
        return cls(seen_part(fit, width, height, region, size), (left, top, left + inner[0], top + inner[1]))

    def to_input(self, box: Box) -> Box:
        """A (4,) box in pixels of the image, in pixels of the input; it may reach beyond it.

        Of an image that is turned, the upright box about the turned one.
        """
        if self.matrix is not None:
            left, top, right, bottom = box
            corners = np.array([[x, y, 1] for x in (left, right) for y in (top, bottom)]) @ self.matrix.T
            return np.concatenate([corners.min(axis=0), corners.max(axis=0)])
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
