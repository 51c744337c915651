"""The evidence for a prediction, as heat maps over the network's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from multitask.evaluation.intervals import interval, resample_mean

Verdict = Literal["far inside", "inside", "neither", "outside", "far outside"]
LEAST, FAR = 1.25, 2.0
"""The least odds ratio of what lies inside, and far inside."""


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
        box: (4,) left, top, right, bottom in pixels of the input, to be drawn; None: there is none.
    """

    image: str
    pixels: NDArray[np.uint8]
    tasks: tuple[HeatMap, ...]
    joint: HeatMap
    box: NDArray[np.float64] | None = None

    @property
    def maps(self) -> tuple[HeatMap, ...]:
        """The tasks' maps and, last, the class's."""
        return (*self.tasks, self.joint)


@dataclass(frozen=True, eq=False)
class EvidenceShares:
    """The shares of the evidence that lie in a part of each image.

    Attributes:
        groups: (N,) numbers of the images' groups, every one below G in use.
        area: (N,) the share of the network's input that the part covers: that of evidence without a preference.
        heads: per head, (N,) shares of its evidence; NaN where no place speaks for what it decided.
        decided: per head, (N,) the labels' names that it decided.
    """

    groups: NDArray[np.int64]
    area: NDArray[np.float64]
    heads: dict[str, NDArray[np.float64]]
    decided: dict[str, NDArray[np.object_]]


@dataclass(frozen=True)
class HeadShare:
    """The evidence of one head.

    Attributes:
        num_images: that it has evidence in.
        share: the mean share of the evidence inside.
        ci: its interval over groups.
        area: the mean share of the input that is inside, of the same images.
        odds: the ratio of the odds of ``share`` to those of ``area``: 1 where the evidence has no preference.
        odds_ci: its interval over groups.
    """

    num_images: int
    share: float
    ci: tuple[float, float]
    area: float
    odds: float
    odds_ci: tuple[float, float]

    @property
    def verdict(self) -> Verdict:
        """Whether the evidence prefers the inside, beyond noise and by enough to speak of."""
        low, high = self.odds_ci
        if low > 1 and self.odds >= LEAST:
            return "far inside" if low >= FAR else "inside"
        if high < 1 and self.odds <= 1 / LEAST:
            return "far outside" if high <= 1 / FAR else "outside"
        return "neither"


def head_share(shares: EvidenceShares, head: str, seed: int, label: str | None = None) -> HeadShare | None:
    """The evidence of a head over images; None where it has none in any.

    Args:
        shares: of the images.
        head: its name.
        seed: of the draws of groups.
        label: of the images for which this was decided; None: of all.
    """
    known = ~np.isnan(shares.heads[head])
    if label is not None:
        known &= shares.decided[head] == label
    if not known.any():
        return None
    share, area = shares.heads[head][known], shares.area[known]
    groups = np.unique(shares.groups[known], return_inverse=True)[1]
    drawn, drawn_area = resample_mean(share, groups, seed), resample_mean(area, groups, seed)
    return HeadShare(
        num_images=int(known.sum()),
        share=float(share.mean()),
        ci=interval(drawn),
        area=float(area.mean()),
        odds=float(_odds(share.mean()) / _odds(area.mean())),
        odds_ci=interval(_odds(drawn) / _odds(drawn_area)),
    )


def _odds(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """p / (1 - p), with p from a thousandth to 999 of them, since a ratio with 0 or 1 says nothing more."""
    inside = np.clip(share, 1e-3, 1 - 1e-3)
    found: NDArray[np.float64] = inside / (1 - inside)
    return found


def inside(box: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """The share of each pixel that a box covers.

    Args:
        box: (4,) left, top, right, bottom in pixels.
        size: H and W.

    Returns:
        (H, W) in [0, 1].

    >>> inside(np.array([0.5, 0, 9, 1]), (2, 2))
    array([[0.5, 1. ],
           [0. , 0. ]])
    """
    rows, columns = (
        (np.minimum(box[last], np.arange(length) + 1) - np.maximum(box[first], np.arange(length))).clip(0, 1)
        for first, last, length in ((1, 3, size[0]), (0, 2, size[1]))
    )
    return np.outer(rows, columns)


def share_inside(heat: NDArray[np.float32], part: NDArray[np.float64]) -> float:
    """The share of a map that lies in a part, as of ``inside``; NaN of a map of zeros."""
    total = float(heat.sum())
    return float((heat * part).sum()) / total if total > 0 else float("nan")
