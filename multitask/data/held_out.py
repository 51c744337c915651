"""Classes that are held out of training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from multitask.data.label_kinds import distinct_labels
from multitask.data.samples import Samples
from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace
from multitask.utils.texts import Codes


def without_classes(samples: Samples, train: NDArray[np.int64], unseen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The samples that train without those of some classes, which validation keeps.

    An image whose labels are not all known is left out too where it may be of one of these classes.

    Args:
        samples: N samples.
        train: (M,) those that train, of N.
        unseen: (C,) bool, the classes that are held out of training.

    Raises:
        UserError: nothing is left to train on, or a label that was there has no image left, so that no network can
            know it.
    """
    product = unseen.reshape(samples.space.sizes)
    kinds, labels = distinct_labels(samples.labels[train], samples.space)
    may_be = [product[tuple(slice(None) if label == MISSING else label for label in kind)].any() for kind in labels]
    left: NDArray[np.int64] = train[~np.isin(samples.kinds[train], kinds[np.array(may_be, dtype=bool)])]
    check_labels_left(samples.space, samples.labels[train], samples.labels[left])
    return left


def check_labels_left(space: LabelSpace, before: Codes, after: Codes) -> None:
    """Checks that what is held out leaves something of every label: a label that is never seen cannot be learned.

    Args:
        space: the label space.
        before: (N, T) labels, those held out among them.
        after: (M, T) labels without them.

    Raises:
        UserError: it does not.
    """
    if not len(after):
        raise UserError("data.held_out: leaves nothing to train on")
    for column, task in enumerate(space.tasks):
        lost = set(np.unique(before[:, column]).tolist()) - set(np.unique(after[:, column]).tolist()) - {MISSING}
        if lost:
            raise UserError(
                f"data.held_out: leaves no image of {task.name} {task.classes[min(lost)]!r} to train on; "
                "every label must be seen in some other cell"
            )
