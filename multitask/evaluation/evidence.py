"""The evidence for a prediction, as heat maps over the network's input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Where the evidence for one decided label lies.

    Attributes:
        head: the task's name; ``joint`` for the class.
        label: the decided label's name, or the class's.
        prob: its calibrated probability.
        values: (H, W) float32 in [0, 1] over the network's input, whose greatest is 1; 0 everywhere where no place
            speaks for the label.
        cells: rows and columns of the map before it was scaled up to the input: how fine it is.
        method: a name in ``multitask.inference.explain.METHODS``.
    """

    head: str
    label: str
    prob: float
    values: NDArray[np.float32]
    cells: tuple[int, int]
    method: str


@dataclass(frozen=True, eq=False)
class Explanation:
    """The evidence for the prediction of one image.

    Attributes:
        image: what the prediction calls it.
        pixels: (H, W, 3) uint8, the image as the network sees it.
        tasks: a map for each task.
        joint: that of the decided class.
    """

    image: str
    pixels: NDArray[np.uint8]
    tasks: tuple[HeatMap, ...]
    joint: HeatMap

    @property
    def maps(self) -> tuple[HeatMap, ...]:
        """The tasks' maps and, last, the class's."""
        return (*self.tasks, self.joint)
