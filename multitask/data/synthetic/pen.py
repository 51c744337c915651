"""The pen that the portraits are drawn with: rounded shapes, moved and turned together.

Shapes are given in face pixels: the origin is the middle of the face, x to the right, y down, one unit one pixel of the
finished image when the head is upright and of the usual size. The canvas is of twice the size and reduced at the end:
that is the anti-aliasing, and cheaper than blending every edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from multitask.data.synthetic.people import Colour

WIDTH_PX, HEIGHT_PX = 192, 256
"""Of the finished image."""
OVERSAMPLING = 2

WHITE: Colour = (255, 255, 255)
INK: Colour = (42, 30, 30)

Points = Sequence[tuple[float, float]] | NDArray[np.float64]
Image = NDArray[np.uint8]

_SHIFT = 4  # OpenCV takes coordinates in sixteenths of a pixel
_TURN = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


@cache
def _rounding(num_points: int, closed: bool) -> NDArray[np.float64]:
    """The matrix that cuts the corners of a line through so many points (Chaikin 1974, twice); linear, so made once."""
    matrix = np.eye(num_points)
    for _ in range(2):
        following = np.roll(matrix, -1, axis=0)
        cut = np.stack([0.75 * matrix + 0.25 * following, 0.25 * matrix + 0.75 * following], axis=1)
        cut = cut.reshape(-1, num_points)
        matrix = cut if closed else np.concatenate([matrix[:1], cut[:-2], matrix[-1:]])
    return matrix


def mirrored(right: Points) -> NDArray[np.float64]:
    """A closed outline from its right half, top to bottom."""
    half = np.asarray(right, dtype=np.float64)
    return np.concatenate([half, half[::-1] * (-1.0, 1.0)])


@dataclass(frozen=True)
class Pen:
    """Draws shapes given in face pixels on a canvas, moved, turned and scaled together."""

    canvas: Image
    centre: tuple[float, float]
    scale: float
    angle: float  # radians, clockwise

    def moved(self, x: float, y: float) -> Pen:
        """A pen whose origin is at (x, y) of this one."""
        cos, sin = np.cos(self.angle) * self.scale, np.sin(self.angle) * self.scale
        at = (self.centre[0] + cos * x - sin * y, self.centre[1] + sin * x + cos * y)
        return Pen(self.canvas, at, self.scale, self.angle)

    def _placed(self, points: Points, rounded: bool, closed: bool) -> NDArray[np.int32]:
        shape = np.asarray(points, dtype=np.float64)
        if rounded:
            shape = _rounding(len(shape), closed) @ shape
        cos, sin = np.cos(self.angle) * self.scale, np.sin(self.angle) * self.scale
        placed = shape @ np.array([[cos, sin], [-sin, cos]]) + self.centre
        fine: NDArray[np.int32] = np.rint(placed * (OVERSAMPLING << _SHIFT)).astype(np.int32)
        return fine

    def fill(self, points: Points, colour: Colour, *, rounded: bool = True) -> None:
        """A filled shape."""
        cv2.fillPoly(self.canvas, [self._placed(points, rounded, True)], colour, cv2.LINE_8, _SHIFT)

    def line(self, points: Points, colour: Colour, width_px: float, *, closed: bool = False) -> None:
        """A rounded line."""
        width = max(1, round(width_px * self.scale * OVERSAMPLING))
        placed = self._placed(points, True, closed)
        cv2.polylines(self.canvas, [placed], closed, colour, width, cv2.LINE_8, _SHIFT)

    def oval(self, x: float, y: float, half_x: float, half_y: float, colour: Colour) -> None:
        """A filled ellipse."""
        self.fill(CIRCLE * (half_x, half_y) + (x, y), colour, rounded=False)
