"""The targets of samples: a column of labels for each loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multitask.data.samples import Samples
from multitask.errors import UserError
from multitask.labels import JOINT, MISSING, LabelSpace
from multitask.utils.spelling import plural
from multitask.utils.texts import Codes


@dataclass(frozen=True, eq=False)
class Targets:
    """The labels of N samples for K losses: those of the heads and, where there is one, of the joint term.

    Attributes:
        labels: (N, K) signed integers, ``MISSING`` where unknown; of a head that learns the classes whole, below
            ``MISSING`` where only some of the tasks' labels are known: which, says ``agreeing_classes``.
        numbers: (N, K) float32, the raw numbers that labels were made of, NaN where there is none.
        weights: (N, K) float32, of each sample in each loss; None: in all of them that of the sample.
    """

    labels: Codes
    numbers: NDArray[np.float32]
    weights: NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls,
        samples: Samples,
        learned: LabelSpace,
        joint: bool,
        by_source: Mapping[str, Mapping[str, float]] | None = None,
    ) -> Targets:
        """The targets of samples.

        Args:
            samples: N of them.
            learned: the heads' label space, of the samples' classes: their own tasks, or one task of all classes.
            joint: whether the last column is the class, for a joint term.
            by_source: how much a source's samples count in each loss, by both names; 1 where nothing is said.
        """
        unknown = np.full((len(samples), 1), np.nan, dtype=np.float32)
        labels, numbers = samples.labels, samples.numbers.astype(np.float32, copy=False)
        if learned != samples.space:  # one head learns the classes whole
            labels, numbers = _class_targets(samples)[:, None], unknown
        if joint:
            labels, numbers = np.hstack([labels, samples.classes[:, None]]), np.hstack([numbers, unknown])
        names = (*learned.task_names, *([JOINT] if joint else []))
        return cls(labels, numbers, _weights(samples, names, by_source) if by_source else None)

    def loss_weights(self, samples: Samples) -> NDArray[np.float32]:
        """(N, K) or, where every loss counts a sample the same, (N,) the weights of the samples."""
        return samples.weights if self.weights is None else self.weights


def _weights(
    samples: Samples, names: tuple[str, ...], by_source: Mapping[str, Mapping[str, float]]
) -> NDArray[np.float32]:
    """(N, K) the samples' weights times their sources'."""
    weights = np.repeat(samples.weights[:, None], len(names), axis=1)
    for source, of_losses in by_source.items():
        rows = samples.sources == source
        weights[rows] *= np.array([of_losses.get(name, 1.0) for name in names], dtype=np.float32)
    return weights


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
    """Refuses training samples without weight, or without any label of a head or of the joint term.

    Args:
        train: the samples that train.
        targets: theirs.
        learned: the heads' label space.
        weights: what each loss counts, by name; one of weight 0 needs no label.

    Raises:
        UserError: no sample has a weight, or none has a label for a loss, or only those that count nothing in it.
    """
    if not train.weights.any():
        raise UserError(f"data.source.weight: is 0 for all {plural(len(train), 'image', 'images')} that train")
    weights_of = targets.loss_weights(train)
    for place, (name, column) in enumerate(zip((*learned.task_names, JOINT), targets.labels.T, strict=False)):
        if not weights[name]:
            continue
        joint = place == learned.num_tasks
        key, what = (JOINT, "all labels") if joint else (f"heads.{name}", "a label for it")
        if (column == MISSING).all():
            raise UserError(f"{key}: none of the {plural(len(train), 'image', 'images')} that train has {what}")
        if not train.weights[column != MISSING].any():
            raise UserError(
                f"{key}: counts no image: data.source.weight is 0 for all {(column != MISSING).sum():,} that train and "
                f"have {what}"
            )
        if not (weights_of if weights_of.ndim == 1 else weights_of[:, place])[column != MISSING].any():
            raise UserError(
                f"{key}: counts no image: data.source.sources.*.weights.{name} is 0 for all that train and have {what}"
            )
