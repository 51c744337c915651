"""The targets of samples: a column of labels for each loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multitask.data.samples import Samples
from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace


@dataclass(frozen=True, eq=False)
class Targets:
    """The labels of N samples for K losses: those of the heads and, where there is one, of the joint term.

    Attributes:
        labels: (N, K) int64, ``MISSING`` where unknown; of a head that learns the classes whole, below ``MISSING``
            where only some of the tasks' labels are known: which, says ``agreeing_classes``.
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
            labels, numbers = _class_targets(samples)[:, None], unknown
        if joint:
            labels, numbers = np.hstack([labels, classes]), np.hstack([numbers, unknown])
        return cls(labels, numbers)


def _class_targets(samples: Samples) -> NDArray[np.int64]:
    """(N,) the classes; where some labels are known and some are not, ``MISSING - k`` with k the sample's kind."""
    partial = (samples.labels != MISSING).any(axis=1) & (samples.classes == MISSING)
    return np.where(partial, MISSING - samples.kinds, samples.classes)


def agreeing_classes(target: int, space: LabelSpace) -> NDArray[np.bool_]:
    """(C,) bool, the classes that can occur and have all labels that are known of a sample.

    Args:
        target: its, below ``MISSING``, as of ``Targets``.
        space: of its labels.
    """
    kind, labels = MISSING - target, []
    for size in reversed(space.sizes):
        kind, label = divmod(kind, size + 1)
        labels.append(label + MISSING)
    product = np.zeros(space.sizes, dtype=bool)
    product[tuple(slice(None) if label == MISSING else label for label in reversed(labels))] = True
    return product.ravel() & space.possible


def check_learnable(train: Samples, targets: Targets, learned: LabelSpace, weights: Mapping[str, float]) -> None:
    """Refuses training samples without weight, or without any label of a head.

    Args:
        train: the samples that train.
        targets: theirs.
        learned: the heads' label space.
        weights: what each loss counts, by name; a head of weight 0 needs no label.

    Raises:
        UserError: no sample has a weight, or none has a label for a head.
    """
    if not train.weights.any():
        raise UserError(f"data.source.weight: is 0 for all {len(train)} images that train")
    for task, column in zip(learned.tasks, targets.labels.T, strict=False):
        if weights[task.name] and (column == MISSING).all():
            raise UserError(f"heads.{task.name}: none of the {len(train)} images that train has a label for it")
