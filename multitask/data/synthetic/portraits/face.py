"""The places on a face where a mask goes: five landmarks give a frame in which they are the same for everybody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(N, 2) x and y in pixels."""

_NOSE_DEPTH = 0.5
"""Of the tip of the nose before the eyes, in distances between the eyes."""
_MOST_TURNED = np.radians(40.0)
_LEAST_PX = 4.0
"""Between the eyes, and from eyes to mouth."""
_FLATTEST, _LONGEST = 0.55, 2.2
"""Eyes to mouth over eye to eye; outside of it a face is turned away, or these points are none."""

# A mask's six key points (upper left, top, upper right, lower left, bottom, lower right, as one looks at it) on the
# face: to the right in distances between the eyes, downwards in distances from the eyes to the mouth (nose .6, mouth 1,
# chin 1.65), and towards the viewer in distances between the eyes.
WORN = np.array(
    [(-0.97, 0.42, -0.50), (0, 0.30, 0.28), (0.97, 0.42, -0.50),
     (-0.80, 1.18, -0.40), (0, 1.70, 0.12), (0.80, 1.18, -0.40)]
)  # fmt: skip
INCORRECT: dict[str, NDArray[np.float64]] = {
    "below_nose": np.array(
        [(-0.93, 0.74, -0.50), (0, 0.80, 0.30), (0.93, 0.74, -0.50),
         (-0.76, 1.34, -0.40), (0, 1.82, 0.10), (0.76, 1.34, -0.40)]
    ),
    "under_chin": np.array(
        [(-0.86, 1.12, -0.50), (0, 1.32, 0.22), (0.86, 1.12, -0.50),
         (-0.64, 1.64, -0.40), (0, 2.02, 0.00), (0.64, 1.64, -0.40)]
    ),
    "over_eyes": np.array(
        [(-0.95, -0.72, -0.50), (0, -0.86, 0.10), (0.95, -0.72, -0.50),
         (-0.98, 0.06, -0.50), (0, 0.40, 0.30), (0.98, 0.06, -0.50)]
    ),
}  # fmt: skip
"""Three ways to wear a mask wrong."""


@dataclass(frozen=True)
class FaceFrame:
    """The axes of a face in an image.

    Attributes:
        eyes: (2,) between the eyes, in pixels.
        right: (2,) unit vector from one eye to the other, to the right as one looks at it.
        eye_px: between the eyes, were the face not turned.
        mouth_px: from the eyes down to the mouth.
        yaw: by which the face is turned, in radians; positive to the right as one looks at it.
    """

    eyes: Points
    right: Points
    eye_px: float
    mouth_px: float
    yaw: float

    @classmethod
    def of(cls, points: Points) -> FaceFrame:
        """The frame of (5, 2) landmarks: right eye, left eye, nose, right and left corner of the mouth."""
        eyes = points[:2].mean(axis=0)
        between = points[1] - points[0]
        distance = float(np.hypot(*between))
        right = between / distance
        down = np.array([-right[1], right[0]])
        mouth_px = float((points[3:].mean(axis=0) - eyes) @ down)
        turned = np.arctan2(float((points[2] - eyes) @ right), _NOSE_DEPTH * distance)
        yaw = float(np.clip(turned, -_MOST_TURNED, _MOST_TURNED))
        return cls(eyes, right, distance / float(np.cos(yaw)), mouth_px, yaw)

    @property
    def down(self) -> Points:
        """(2,) unit vector from the eyes to the mouth."""
        return np.array([-self.right[1], self.right[0]])

    def place(self, points: NDArray[np.float64]) -> Points:
        """(N, 2) pixels of (N, 3) points of the face, in the units of ``WORN``."""
        across = points[:, 0] * np.cos(self.yaw) + points[:, 2] * np.sin(self.yaw)
        return (
            self.eyes + np.outer(across * self.eye_px, self.right) + np.outer(points[:, 1] * self.mouth_px, self.down)
        )


def facing(points: Points) -> bool:
    """Whether (5, 2) landmarks are those of a face that is seen from the front."""
    if not np.isfinite(points).all():
        return False
    between = points[1] - points[0]
    distance = float(np.hypot(*between))
    if distance < _LEAST_PX or between[0] <= 0:
        return False
    down = np.array([-between[1], between[0]]) / distance
    mouth_px = float((points[3:].mean(axis=0) - points[:2].mean(axis=0)) @ down)
    return mouth_px >= _LEAST_PX and _FLATTEST <= mouth_px / distance <= _LONGEST
