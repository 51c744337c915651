"""Scores of predictions against labels, from counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multitask.evaluation.scores import Confusion, ReliabilityBin, SparseConfusion

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

MATRIX_CLASSES = 256
"""A confusion matrix of more classes is written as its cells that are not 0: of 10,000 it would take a gigabyte."""

NUM_BINS = 15
"""Bins of the reliability diagram and of the expected calibration error (Guo et al. 2017)."""


def confusion(given: IntArray, predicted: IntArray, num_classes: int) -> IntArray:
    """(C, C) counts, rows the given class, columns the predicted one, from two (N,) arrays of class indices."""
    flat = np.bincount(given.astype(np.int64) * num_classes + predicted, minlength=num_classes**2)
    return flat.reshape(num_classes, num_classes)


def confusion_table(given: IntArray, predicted: IntArray, num_classes: int) -> Confusion:
    """A confusion matrix as a report holds it, from two (N,) arrays of class indices.

    Returns:
        Up to ``MATRIX_CLASSES`` classes the (C, C) counts of ``confusion``; beyond, sparse, with at most N entries.
    """
    if num_classes <= MATRIX_CLASSES:
        return tuple(map(tuple, confusion(given, predicted, num_classes).tolist()))
    cells, counts = np.unique(given.astype(np.int64) * num_classes + predicted, return_counts=True)
    rows = (column.tolist() for column in (*divmod(cells, num_classes), counts))
    return SparseConfusion(num_classes, tuple(zip(*rows, strict=True)))


def f1_scores(hits: NDArray[Any], given: NDArray[Any], predicted: NDArray[Any]) -> FloatArray:
    """F1 of each class: 2 hits / (given + predicted), and 0 where a class is neither given nor predicted.

    Args:
        hits: (..., C) how often the class was given and predicted.
        given: (..., C) how often it was given.
        predicted: (..., C) how often it was predicted.

    Returns:
        (..., C).
    """
    total = given + predicted
    scores: FloatArray = np.zeros(np.broadcast(hits, total).shape)
    np.divide(2 * hits, total, out=scores, where=total > 0)
    return scores


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of N predictions.

    Attributes:
        given: (N,) class indices.
        predicted: (N,) likewise.
        declared: (C,) bool, the classes that can occur. Macro-F1 is the mean over these, also where one is absent from
            the data and has an F1 of 0, so that scores of different splits are over the same classes.
    """

    given: IntArray
    predicted: IntArray
    declared: NDArray[np.bool_]

    @property
    def support(self) -> IntArray:
        """(C,) how often each class is given."""
        return self._counts(self.given)

    @property
    def guesses(self) -> IntArray:
        """(C,) how often each class is predicted."""
        return self._counts(self.predicted)

    @property
    def hits(self) -> IntArray:
        """(C,) how often each class is given and predicted."""
        return self._counts(self.given[self.given == self.predicted])

    def _counts(self, classes: IntArray) -> IntArray:
        return np.bincount(classes, minlength=len(self.declared))

    @property
    def precision(self) -> FloatArray:
        """(C,) hits / predicted; 0 where the class is never predicted."""
        return np.divide(self.hits, self.guesses, out=np.zeros(len(self.declared)), where=self.guesses > 0)

    @property
    def recall(self) -> FloatArray:
        """(C,) hits / given; 0 where the class is never given."""
        return np.divide(self.hits, self.support, out=np.zeros(len(self.declared)), where=self.support > 0)

    @property
    def f1(self) -> FloatArray:
        """(C,) 2 hits / (given + predicted); 0 where the class is neither given nor predicted."""
        return f1_scores(self.hits, self.support, self.guesses)

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the declared classes; NaN without data."""
        return float(self.f1[self.declared].mean()) if len(self.given) else float("nan")

    @property
    def accuracy(self) -> float:
        """The share of hits; NaN without data."""
        return float(self.hits.sum() / len(self.given)) if len(self.given) else float("nan")


def reliability(confidence: FloatArray, correct: NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    """The accuracy of predictions by their confidence.

    Args:
        confidence: (N,) probability of the predicted class.
        correct: (N,) whether it was right.

    Returns:
        ``NUM_BINS`` bins of equal width.
    """
    bins = np.minimum((confidence * NUM_BINS).astype(int), NUM_BINS - 1)
    rows = []
    for index in range(NUM_BINS):
        inside = bins == index
        count = int(inside.sum())
        rows.append(
            ReliabilityBin(
                low=index / NUM_BINS,
                high=(index + 1) / NUM_BINS,
                count=count,
                confidence=float(confidence[inside].mean()) if count else None,
                accuracy=float(correct[inside].mean()) if count else None,
            )
        )
    return tuple(rows)


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Expected calibration error: the mean of |accuracy - confidence| over bins, weighted by their images."""
    total = sum(each.count for each in bins)
    gaps = [
        each.count * abs(each.confidence - each.accuracy)
        for each in bins
        if each.confidence is not None and each.accuracy is not None
    ]
    return sum(gaps) / total if total else float("nan")
