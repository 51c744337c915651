"""The labels that heads are sure of, in about the shares that the prior of the images says."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.labels import MISSING, LabelSpace

SLACK = 2.0
"""How far the shares of labels may be from the prior: in proportion to the scarcest label, at most twice as many. With
1 the scarcest would take the most from the others, of which what is sure is worth more than an exact share."""


def sure_labels(probs: FloatArray, thresholds: FloatArray) -> IntArray:
    """The most probable label of each image where its probability reaches that label's threshold, else ``MISSING``.

    Args:
        probs: (N, C) calibrated probabilities.
        thresholds: (N, C) of each label, or one row for all images; NaN: the label is never given.

    >>> sure_labels(np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), np.array([[0.8, np.nan]]))
    array([ 0, -1, -1])
    """
    rows, best = np.arange(len(probs)), probs.argmax(axis=1)
    needed = np.broadcast_to(thresholds, probs.shape)[rows, best]
    return np.where(probs[rows, best] >= needed, best, MISSING)


def balanced(labels: IntArray, probs: FloatArray, prior: FloatArray) -> IntArray:
    """The labels in the shares that the prior says, but for ``SLACK``, the surest kept; of each given one at least one.

    Label c is given to at most ``SLACK`` pi_c min_k (n_k / pi_k) images, with pi the prior and the least over the
    labels k that are given, to n_k images: one that is given to none takes nothing from the others.

    Args:
        labels: (N,), ``MISSING`` where none is given.
        probs: (N, C) probabilities.
        prior: (C,).

    >>> probs = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.9]])
    >>> balanced(np.array([0, 0, 0, 1]), probs, np.array([0.5, 0.5]))
    array([ 0,  0, -1,  1])
    """
    found = labels.copy()
    counts = np.bincount(labels[labels != MISSING], minlength=len(prior))
    given = (counts > 0) & (prior > 0)
    per_share = SLACK * (counts[given] / prior[given]).min(initial=np.inf)
    for label in np.flatnonzero(counts):
        rows = np.flatnonzero(labels == label)
        most = max(1, int(np.ceil(min(prior[label] * per_share, len(labels)) - 1e-9))) if prior[label] > 0 else 1
        surest = rows[np.argsort(-probs[rows, label], kind="stable")]
        found[surest[most:]] = MISSING
    return found


def without_impossible(labels: IntArray, probs: Mapping[str, FloatArray], space: LabelSpace) -> IntArray:
    """The labels without the least sure of those that cannot occur together.

    Args:
        labels: (N, T), ``MISSING`` where none is given.
        probs: per task, (N, C_t).
        space: the label space.
    """
    if space.possible.all():
        return labels
    found = labels.copy()
    product = space.possible.reshape(space.sizes)

    def can_occur(row: NDArray[np.int64]) -> bool:
        return bool(product[tuple(slice(None) if label == MISSING else label for label in row)].any())

    for row, image in enumerate(found):
        while not can_occur(image):
            given = np.flatnonzero(image != MISSING)
            sure = [probs[space.task_names[task]][row, image[task]] for task in given]
            image[given[int(np.argmin(sure))]] = MISSING
    return found
