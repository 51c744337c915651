"""What a loss may know of the labels it is trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multitask.labels import MISSING, Task

FloatArray = NDArray[np.float64]

UNSEEN = 0.5
"""The training pictures that a class which has none is taken to have, where a logarithm of its frequency is needed."""


@dataclass(frozen=True, eq=False)
class TrainingLabels:
    """What a loss may know of the labels it is trained on.

    Attributes:
        task: whose labels they are; for the joint loss, the classes that can occur as one task.
        counts: (C_t,) training pictures of each label.
        centres: (C_t,) the mean raw number of the training pictures of each label, in the number's unit; NaN where
            there is none.
    """

    task: Task
    counts: FloatArray
    centres: FloatArray

    def class_values(self) -> FloatArray:
        """(C_t,) the number that stands for each class of a binned task, in the number's unit.

        The centre; where no training picture has the label, the middle of its range, or the edge of one that has no
        end.
        """
        assert self.task.kind == "binned", f"{self.task.name} is made of no number"
        edges = self.task.edges
        middles = np.array([edges[0], *((np.array(edges[:-1]) + np.array(edges[1:])) / 2), edges[-1]])
        return np.where(np.isnan(self.centres), middles, self.centres)


def training_labels(task: Task, labels: NDArray[np.int64], numbers: NDArray[np.floating]) -> TrainingLabels:
    """What a loss may know, from the training pictures: (N,) labels, and (N,) raw numbers, NaN where there is none."""
    known = labels != MISSING
    counts = np.bincount(labels[known], minlength=task.num_classes).astype(float)
    known &= ~np.isnan(numbers)
    sums = np.bincount(labels[known], numbers[known], minlength=task.num_classes)
    sizes = np.bincount(labels[known], minlength=task.num_classes)
    return TrainingLabels(task, counts, np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan))


def log_frequencies(counts: FloatArray) -> FloatArray:
    """(C_t,) normalised logarithms of how frequent each class is; one that was never seen has ``UNSEEN`` pictures."""
    mass = np.maximum(counts, UNSEEN)
    return np.asarray(np.log(mass / mass.sum()))
