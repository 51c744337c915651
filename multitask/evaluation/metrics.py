"""Scores of predictions against labels, from counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

NUM_BINS = 15
"""Bins of the reliability diagram and of the expected calibration error (Guo et al. 2017)."""


def confusion(given: IntArray, predicted: IntArray, num_classes: int) -> IntArray:
    """(C, C) counts, rows the given class, columns the predicted one, from two (N,) arrays of class indices."""
    flat = np.bincount(given * num_classes + predicted, minlength=num_classes**2)
    return flat.reshape(num_classes, num_classes)


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
    return np.divide(2 * hits, total, out=np.zeros(np.broadcast(hits, total).shape), where=total > 0)


@dataclass(frozen=True, eq=False)
class Scores:
    """What a confusion matrix says.

    Attributes:
        matrix: (C, C) counts, rows the given class, columns the predicted one.
        declared: (C,) bool, the classes that can occur. Macro-F1 is the mean over these, also where one is absent from
            the data and has an F1 of 0, so that scores of different splits are over the same classes.
    """

    matrix: IntArray
    declared: NDArray[np.bool_]

    @classmethod
    def of(cls, given: IntArray, predicted: IntArray, declared: NDArray[np.bool_]) -> Scores:
        """From two (N,) arrays of class indices."""
        return cls(confusion(given, predicted, len(declared)), declared)

    @property
    def support(self) -> IntArray:
        """(C,) how often each class is given."""
        return self.matrix.sum(axis=1)

    @property
    def hits(self) -> IntArray:
        """(C,) how often each class is given and predicted."""
        return self.matrix.diagonal()

    @property
    def precision(self) -> FloatArray:
        """(C,); 0 where the class is never predicted."""
        predicted = self.matrix.sum(axis=0)
        return np.divide(self.hits, predicted, out=np.zeros(len(predicted)), where=predicted > 0)

    @property
    def recall(self) -> FloatArray:
        """(C,); 0 where the class is never given."""
        return np.divide(self.hits, self.support, out=np.zeros(len(self.matrix)), where=self.support > 0)

    @property
    def f1(self) -> FloatArray:
        """(C,); 0 where the class is neither given nor predicted."""
        return f1_scores(self.hits, self.support, self.matrix.sum(axis=0))

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the declared classes; NaN without data."""
        return float(self.f1[self.declared].mean()) if self.matrix.any() else float("nan")

    @property
    def accuracy(self) -> float:
        """The share of hits; NaN without data."""
        total = self.matrix.sum()
        return float(self.hits.sum() / total) if total else float("nan")


def reliability(confidence: FloatArray, correct: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """How often predictions of each confidence are right.

    Args:
        confidence: (N,) probability of the predicted class.
        correct: (N,) whether it was right.

    Returns:
        ``NUM_BINS`` rows of equal width: low, high, count, and the mean confidence and accuracy (None if empty).
    """
    bins = np.minimum((confidence * NUM_BINS).astype(int), NUM_BINS - 1)
    rows = []
    for index in range(NUM_BINS):
        inside = bins == index
        count = int(inside.sum())
        rows.append(
            {
                "low": index / NUM_BINS,
                "high": (index + 1) / NUM_BINS,
                "count": count,
                "confidence": float(confidence[inside].mean()) if count else None,
                "accuracy": float(correct[inside].mean()) if count else None,
            }
        )
    return rows


def calibration_error(rows: list[dict[str, Any]]) -> float:
    """Expected calibration error of a reliability table: the mean gap, each bin counting by its pictures."""
    total = sum(row["count"] for row in rows)
    gaps = [row["count"] * abs(row["confidence"] - row["accuracy"]) for row in rows if row["count"]]
    return sum(gaps) / total if total else float("nan")
