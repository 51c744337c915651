"""Kinds of samples: numbers that are alike where all labels are alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from multitask.labels import MISSING, LabelSpace
from multitask.utils.texts import Codes


def kinds_of(labels: Codes, space: LabelSpace) -> NDArray[np.int64]:
    """(N,) numbers that are alike where all of (N, T) labels are alike, and rise as rows of labels do."""
    kinds = np.zeros(len(labels), dtype=np.int64)
    for column, size in zip(labels.T, space.sizes, strict=True):
        kinds *= size + 1
        kinds += column
        kinds -= MISSING
    return kinds


def distinct_labels(labels: Codes, space: LabelSpace) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The D kinds that there are among (N, T) labels, rising, and (D, T) their labels."""
    kinds = distinct_numbers(kinds_of(labels, space))
    rest, columns = kinds, []
    for size in reversed(space.sizes):
        rest, label = np.divmod(rest, size + 1)
        columns.append(label + MISSING)
    return kinds, np.stack(columns[::-1], axis=1)


def distinct_numbers(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The different ones of (N,) numbers from 0, rising: unsorted where they are small."""
    if len(values) and values.max() < max(len(values), 1 << 16):
        return np.flatnonzero(np.bincount(values))
    return np.unique(values)
