"""Prediction sets that hold the right label with a promised probability: split conformal prediction over groups.

The images of a group are dependent, so that coverage is promised for an image of a new group: a group is drawn, then an
image of it. Let K groups calibrate, n_k be the number of images of group k, and p_ki the probability that the network
gives to the right label of image i of group k, or another score of its conformity (``evaluation.conformity``). A label
is in a set if its probability is at least

    t = max {u : sum_k 1 / n_k sum_i [p_ki >= u] >= c (K + 1)},

with c the coverage. This is the pooled distribution function of Dunn, Wasserman and Ramdas 2022
(https://arxiv.org/abs/1809.07441), in which every group weighs 1, with the correction that makes it exact for finite K:
K + 1 in place of K, as if the new group were wrong throughout (hierarchical conformal prediction, Lee, Barber and
Willett 2023, https://arxiv.org/abs/2306.06342). Where groups are exchangeable, and images within a group, the right
label is in the set with a probability of at least c, and at most c + 2 / (K + 1) where no two p_ki are equal. With one
image in each group it is the usual split conformal quantile, of rank ceil(c (n + 1)), of the score 1 - p, which is
named LAC or THR (Sadinle, Lei and Wasserman 2019, https://arxiv.org/abs/1609.00451). All that is said of probabilities
here holds for other scores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multitask.evaluation.metrics import FloatArray, IntArray

_ROUNDING = 1e-9
"""By so much sums of weights may be off, so that 10 groups of 10 are not found to be 9.999."""


def least_groups(coverage: float) -> int:
    """The fewest groups that can promise a coverage c: K >= c (K + 1).

    >>> [least_groups(coverage) for coverage in (0.5, 0.8, 0.9, 0.95, 0.99)]
    [1, 4, 9, 19, 99]
    """
    return max(1, math.ceil(coverage / (1 - coverage) - _ROUNDING * 100))


def threshold(probs: FloatArray, groups: IntArray, coverage: float) -> float | None:
    """The t of the module's formula; None where there are too few groups.

    Args:
        probs: (M,) p.
        groups: (M,) the group of each.
        coverage: c.

    >>> probs = np.array([0.9, 0.8, 0.7, 0.6])
    >>> threshold(probs, np.arange(4), coverage=0.8), threshold(probs, np.arange(4), coverage=0.6)
    (0.6, 0.7)
    >>> threshold(probs, np.array([0, 1, 1, 1]), coverage=0.5), threshold(probs, np.arange(4), coverage=0.9)
    (0.7, None)
    """
    _, of_group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    needed = coverage * (len(sizes) + 1)
    if len(sizes) < needed - _ROUNDING:
        return None
    order = np.argsort(-probs, kind="stable")
    reached = np.cumsum(1 / sizes[of_group[order]])
    place = min(int(np.searchsorted(reached, needed - _ROUNDING)), len(order) - 1)
    return float(probs[order[place]])


@dataclass(frozen=True, eq=False)
class Thresholds:
    """The probabilities from which labels are in a set.

    Attributes:
        values: (C,); a label that cannot occur has infinity.
        own: (C,) bool, the labels whose threshold is of images of theirs alone.
    """

    values: FloatArray
    own: NDArray[np.bool_]


def label_thresholds(
    probs: FloatArray, labels: IntArray, groups: IntArray, possible: NDArray[np.bool_], coverage: float
) -> Thresholds | None:
    """A threshold for each label, so that the promise holds for the images of each label by themselves (Mondrian).

    Groups then count by their images of that label. The labels that are in fewer groups than ``least_groups`` share one
    threshold, of the images of all of them, joined by the next rarest until that is of enough groups: so it is kept for
    these together, and for all images.

    Args:
        probs: (M,) the probability of the right label, of calibrating images.
        labels: (M,) the right labels.
        groups: (M,) their groups.
        possible: (C,) bool, the labels that can occur.
        coverage: c.

    Returns:
        None where all labels together are in too few groups.

    >>> probs, labels = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]), np.array([0, 0, 0, 1, 1, 2])
    >>> found = label_thresholds(probs, labels, np.arange(6), np.ones(3, dtype=bool), coverage=0.5)
    >>> found.values, found.own
    (array([0.8, 0.5, 0.4]), array([ True,  True,  True]))
    >>> found = label_thresholds(probs, labels, np.arange(6), np.ones(3, dtype=bool), coverage=0.75)
    >>> found.values, found.own
    (array([0.7, 0.4, 0.4]), array([ True, False, False]))
    """
    least = least_groups(coverage)
    pairs = np.unique(np.stack([labels, groups]), axis=1)
    num_groups = np.bincount(pairs[0], minlength=len(possible))
    own = possible & (num_groups >= least)
    for label in np.flatnonzero(own)[np.argsort(num_groups[own], kind="stable")]:
        shared = possible & ~own
        if not shared.any() or len(np.unique(groups[shared[labels]])) >= least:
            break
        own[label] = False
    values = np.full(len(possible), np.inf)
    if (shared := possible & ~own).any():
        chosen = shared[labels]
        value = threshold(probs[chosen], groups[chosen], coverage)
        if value is None:
            return None
        values[shared] = value
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels, minlength=len(possible)))
    for label in np.flatnonzero(own):
        rows = order[ends[label - 1] if label else 0 : ends[label]]
        value = threshold(probs[rows], groups[rows], coverage)
        assert value is not None, "the label is in enough groups"
        values[label] = value
    return Thresholds(values, own)


def prediction_sets(probs: FloatArray, thresholds: Thresholds) -> NDArray[np.bool_]:
    """The labels of each image's set; in a set that would be empty is the most probable label.

    That can only raise coverage. A set need not hold the label that a decode rule decides for.

    Args:
        probs: (N, C).
        thresholds: of the C labels.

    Returns:
        (N, C) bool, at least one True in each row.

    >>> thresholds = Thresholds(np.array([0.5, 0.2]), np.array([True, True]))
    >>> prediction_sets(np.array([[0.7, 0.3], [0.95, 0.05], [0.45, 0.1]]), thresholds)
    array([[ True,  True],
           [ True, False],
           [ True, False]])
    """
    sets: NDArray[np.bool_] = probs >= thresholds.values
    empty = np.flatnonzero(~sets.any(axis=1))
    sets[empty, probs[empty].argmax(axis=1)] = True
    return sets
