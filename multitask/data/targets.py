"""What is learned of samples: a column of labels for each loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multitask.data.samples import Samples
from multitask.labels import LabelSpace


@dataclass(frozen=True, eq=False)
class Targets:
    """The labels of N samples for K losses: those of the heads and, where there is one, of the joint term.

    Attributes:
        labels: (N, K) int64, ``MISSING`` where unknown.
        numbers: (N, K) float32, the raw numbers that labels were made of, NaN where there is none.
    """

    labels: NDArray[np.int64]
    numbers: NDArray[np.float32]

    @classmethod
    def of(cls, samples: Samples, learned: LabelSpace, joint: bool) -> Targets:
        """The targets of samples.

        Args:
            samples: N of them.
            learned: the heads' label space, of the samples' classes: their own tasks, or one task of all classes.
            joint: whether the last column is the class, for a joint term.
        """
        classes = samples.classes[:, None]
        unknown = np.full_like(classes, np.nan, dtype=np.float32)
        labels, numbers = samples.labels, samples.numbers.astype(np.float32)
        if learned != samples.space:  # one head learns the classes whole
            labels, numbers = classes, unknown
        if joint:
            labels, numbers = np.hstack([labels, classes]), np.hstack([numbers, unknown])
        return cls(labels, numbers)
