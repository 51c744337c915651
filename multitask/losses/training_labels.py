"""Statistics of the training labels, of which losses and their class weights are built."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multitask.labels import MISSING, Task

FloatArray = NDArray[np.float64]

UNSEEN = 0.5
"""The training images that a class without any is taken to have, where the logarithm of its frequency is needed."""


@dataclass(frozen=True, eq=False)
class TrainingLabels:
    """Statistics of the labels that a head is trained on.

    Attributes:
        task: the head's; for the joint loss, the classes that can occur as one task.
        counts: (C_t,) training images of each label.
        centres: (C_t,) the mean raw number of the training images of each label, in the number's unit; NaN where
            there is none.

    >>> age = Task("age", ("<30", "30-60", ">=60"), "binned", (30.0, 60.0))
    >>> TrainingLabels(age, np.array([2.0, 0.0, 1.0]), np.array([24.5, np.nan, 71.0])).class_values()
    array([24.5, 45. , 71. ])
    """

    task: Task
    counts: FloatArray
    centres: FloatArray

    def class_values(self) -> FloatArray:
        """(C_t,) the number that stands for each class of a binned task, in the number's unit.

        The centre; where no training image has the label, the middle of its range, or the edge of one that has no
        end.
        """
        assert self.task.kind == "binned", f"{self.task.name} is made of no number"
        edges = self.task.edges
        middles = np.array([edges[0], *((np.array(edges[:-1]) + np.array(edges[1:])) / 2), edges[-1]])
        return np.where(np.isnan(self.centres), middles, self.centres)


def training_labels(task: Task, labels: NDArray[np.int64], numbers: NDArray[np.floating]) -> TrainingLabels:
    """The statistics of N training images.

    Args:
        task: whose labels they are.
        labels: (N,), ``MISSING`` where unknown.
        numbers: (N,) the raw numbers of the labels, NaN where there is none.

    >>> age = Task("age", ("<30", ">=30"), "binned", (30.0,))
    >>> found = training_labels(age, np.array([0, 0, 1, MISSING]), np.array([20.0, 28.0, np.nan, np.nan]))
    >>> found.counts, found.centres
    (array([2., 1.]), array([24., nan]))
    """
    known = labels != MISSING
    counts = np.bincount(labels[known], minlength=task.num_classes).astype(float)
    known &= ~np.isnan(numbers)
    sums = np.bincount(labels[known], numbers[known], minlength=task.num_classes)
    sizes = np.bincount(labels[known], minlength=task.num_classes)
    return TrainingLabels(task, counts, np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan))


def log_frequencies(counts: FloatArray) -> FloatArray:
    """(C_t,) log(n_c / sum_k n_k), with n (C_t,) the counts; a class that was never seen has ``UNSEEN`` images.

    >>> np.exp(log_frequencies(np.array([3.0, 1.0])))
    array([0.75, 0.25])
    """
    mass = np.maximum(counts, UNSEEN)
    return np.asarray(np.log(mass / mass.sum()))
