"""Conformity of labels with an image: the scores on which prediction sets put their thresholds.

With p the probabilities of an image's labels, b_y the sum of those that are less than p_y, and v uniform in [0, 1),
drawn once for each image, the conformity of the label y is

- ``lac``: p_y, the least ambiguous sets: the smallest on average of all that keep their promise for the images of each
  label (Sadinle, Lei and Wasserman 2019, https://arxiv.org/abs/1609.00451);
- ``aps``: b_y + p_y, adaptive prediction sets (Romano, Sesia and Candes 2020, https://arxiv.org/abs/2006.02544): the
  labels in falling probability until these sum to enough, so that the most probable is always in. Where the network is
  unsure sets are larger than those of ``lac``, and elsewhere smaller, so that the promise is nearer to being kept for
  hard images by themselves;
- ``aps-randomised``: b_y + v p_y, the paper's score (of which it has 1 less), of which ``aps`` is the case v = 1.
  Without draws the right label is in the set as often as it is the most probable, where that is more than was promised;
  with them sets are smaller, and another time an image may get another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from multitask.evaluation.metrics import FloatArray, IntArray


@dataclass(frozen=True)
class Conformity:
    """A score of labels, the higher the sooner a label is in a set.

    Attributes:
        name: its name.
        adaptive: whether it is of the probabilities below a label's too.
        randomised: whether only a share of its own, drawn for each image, counts.
    """

    name: str
    adaptive: bool = False
    randomised: bool = False

    def of(self, probs: FloatArray, below: FloatArray, draws: FloatArray | None = None) -> FloatArray:
        """The conformity of labels.

        Args:
            probs: p, of any shape.
            below: b, likewise.
            draws: v, likewise; None where nothing is randomised.

        >>> p, b, v = np.array([0.5, 0.3]), np.array([0.5, 0.2]), np.array([0.5, 0.5])
        >>> [CONFORMITIES[name].of(p, b, v).round(3).tolist() for name in ("lac", "aps", "aps-randomised")]
        [[0.5, 0.3], [1.0, 0.5], [0.75, 0.35]]
        """
        if not self.adaptive:
            return probs
        if not self.randomised:
            return below + probs
        assert draws is not None, "a randomised score needs draws"
        return below + draws * probs

    def of_images(self, probs: FloatArray, draws: FloatArray | None = None) -> FloatArray:
        """(N, C) the conformity of every label, of (N, C) probabilities and (N,) draws."""
        below = mass_below(probs) if self.adaptive else probs
        return self.of(probs, below, None if draws is None else draws[:, None])


LAC = Conformity("lac")
APS = Conformity("aps", adaptive=True)
APS_RANDOMISED = Conformity("aps-randomised", adaptive=True, randomised=True)

_CHUNK = 1_000_000
"""Probabilities that are sorted at once."""

CONFORMITIES: Mapping[str, Conformity] = {each.name: each for each in (LAC, APS, APS_RANDOMISED)}
"""The scores, by name."""


def mass_below(probs: FloatArray) -> FloatArray:
    """The sum of the probabilities that are less than each label's.

    Args:
        probs: (N, C).

    Returns:
        (N, C).

    >>> mass_below(np.array([[0.5, 0.2, 0.2, 0.1]])).round(3).tolist()
    [[0.5, 0.1, 0.1, 0.0]]
    """
    found = np.empty_like(probs)
    rows = max(1, _CHUNK // probs.shape[1])
    for start in range(0, len(probs), rows):
        found[start : start + rows] = _mass_below(probs[start : start + rows])
    return found


def _mass_below(probs: FloatArray) -> FloatArray:
    order = np.argsort(probs, axis=1, kind="stable")
    rising = np.take_along_axis(probs, order, axis=1)
    before = np.zeros_like(rising)
    np.cumsum(rising[:, :-1], axis=1, out=before[:, 1:])
    # The sums of labels as probable as others begin where the first of them does.
    first = np.arange(probs.shape[1]) * np.concatenate(
        [np.ones((len(probs), 1), dtype=bool), rising[:, 1:] > rising[:, :-1]], axis=1
    )
    before = np.take_along_axis(before, np.maximum.accumulate(first, axis=1), axis=1)
    found = np.empty_like(before)
    np.put_along_axis(found, order, before, axis=1)
    return found


def mass_below_label(probs: FloatArray, labels: IntArray) -> FloatArray:
    """(M,) as ``mass_below``, of one label of each of M images."""
    own = np.take_along_axis(probs, labels[:, None], axis=1)
    found: FloatArray = np.where(probs < own, probs, 0.0).sum(axis=1)
    return found
