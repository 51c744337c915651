"""The outputs of a network, the labels that decode rules are fitted on, and the priors in the outputs.

Shapes: N images, H heads, C_t labels of head t, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.labels import JOINT, LabelSpace

if TYPE_CHECKING:
    from torch import Tensor

FLOOR = -1e4
"""In place of the logarithm of 0, with which sums and means cannot be taken."""


@dataclass(frozen=True, eq=False)
class ModelOutputs:
    """The outputs of a network for N images.

    Attributes:
        space: the label space of the heads.
        heads: per head, (N, C_t) log-probabilities, finite.
        joint: (N, C) log-probabilities of the classes, finite, where a joint term is learned; else None, and the heads
            are taken as independent.

    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("size", ("small", "large")), Task("colour", ("red", "blue"))])
    >>> heads = {"size": np.log([[0.5, 0.5], [0.2, 0.8]]), "colour": np.log([[0.6, 0.4], [0.9, 0.1]])}
    >>> outputs = ModelOutputs(space, heads)
    >>> np.exp(outputs.scores()).T.round(2)
    array([[0.3 , 0.2 , 0.3 , 0.2 ],
           [0.18, 0.02, 0.72, 0.08]])
    >>> list(outputs.tables()), len(outputs.take(np.array([1]))), outputs.without_joint().joint
    (['size', 'colour'], 1, None)
    """

    space: LabelSpace
    heads: Mapping[str, FloatArray]
    joint: FloatArray | None = None

    @classmethod
    def of(cls, log_probs: Mapping[str, Tensor], space: LabelSpace, joint: Tensor | None = None) -> ModelOutputs:
        """From the heads' (N, C_t) log-probabilities and, where a joint term is learned, the classes' (N, C).

        >>> import torch
        >>> from multitask.labels import Task
        >>> space = LabelSpace([Task("colour", ("red", "blue"))])
        >>> ModelOutputs.of({"colour": torch.tensor([[0.6, 0.4]]).log()}, space).heads["colour"].round(3)
        array([[-0.511, -0.916]])
        """

        def array(values: Tensor) -> FloatArray:
            return finite_log_probs(values.detach().cpu().double().numpy())

        heads = {name: array(log_probs[name]) for name in space.task_names}
        return cls(space, heads, None if joint is None else array(joint))

    def __len__(self) -> int:
        return len(next(iter(self.heads.values())))

    def take(self, rows: NDArray[np.int64]) -> ModelOutputs:
        """The images at ``rows`` (M,), in that order."""
        heads = {name: values[rows] for name, values in self.heads.items()}
        return ModelOutputs(self.space, heads, None if self.joint is None else self.joint[rows])

    def without_joint(self) -> ModelOutputs:
        """The outputs of the heads alone."""
        return ModelOutputs(self.space, self.heads)

    def scores(
        self, temperatures: Mapping[str, float] | None = None, offsets: Mapping[str, ArrayLike] | None = None
    ) -> FloatArray:
        """(C, N) log-probabilities of the classes, not normalised; -inf at cells that cannot occur.

        The score of class (y_1, ..., y_H) is sum_t log p_t(y_t | x) / T_t + b_t(y_t), over the heads t with temperature
        T_t and offset b_t; with a joint term log p(y | x) / T + b(y). Classes come first, so that each is contiguous in
        memory.

        Args:
            temperatures: T, per head or for ``joint``; None, and a name that is not in it: 1.
            offsets: b, per head (C_t,), or the joint's (C,); None, and a name that is not in it: 0.
        """
        temperatures, offsets = temperatures or {}, offsets or {}

        def scaled(name: str, values: FloatArray) -> FloatArray:
            found: FloatArray = values.T / temperatures.get(name, 1.0)
            return found + np.asarray(offsets[name], dtype=float)[:, None] if name in offsets else found

        if self.joint is not None:
            total = scaled(JOINT, self.joint)
        else:
            parts = {name: scaled(name, values) for name, values in self.heads.items()}
            total = product(parts, self.space)
        total[~self.space.possible] = -np.inf
        return total

    def tables(self) -> dict[str, FloatArray]:
        """The log-probabilities that have a temperature each: the heads' and, where there is a joint term, its own."""
        return {**self.heads, **({} if self.joint is None else {JOINT: self.joint})}


def finite_log_probs(values: FloatArray) -> FloatArray:
    """Log-probabilities of which none is below -10,000, the logarithm of 0 included.

    >>> finite_log_probs(np.array([-np.inf, 0.0]))
    array([-10000.,      0.])
    """
    return np.where(values > FLOOR, values, FLOOR)  # also what is no number


def product(parts: Mapping[str, FloatArray], space: LabelSpace) -> FloatArray:
    """The sum of one row of each head for every class: per head (C_t, ...) to (C, ...), rows in class order.

    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("size", ("small", "large")), Task("colour", ("red", "blue"))])
    >>> product({"size": np.array([0, 10]), "colour": np.array([1, 2])}, space)
    array([ 1.,  2., 11., 12.])
    """
    total = np.zeros(())
    for place, task in enumerate(space.tasks):
        values = parts[task.name]
        shape = [1] * space.num_tasks
        shape[place] = task.num_classes
        total = total + values.reshape(*shape, *values.shape[1:])
    return np.ascontiguousarray(total.reshape(space.num_classes, *total.shape[space.num_tasks :]))


@dataclass(frozen=True, eq=False)
class LabelledOutputs:
    """The outputs of a network for N images with their labels, to fit a rule on.

    Attributes:
        outputs: of the network.
        labels: (N, H) the label of each head, ``MISSING`` where unknown.
        groups: (N,) the group of each image.

    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log([[0.6, 0.4], [0.9, 0.1]])})
    >>> known = LabelledOutputs(outputs, np.array([[1], [-1]]), np.array(["a", "b"], dtype=object))
    >>> known.classes, known.whole().classes, known.take(np.array([1])).groups, known.space.num_classes
    (array([ 1, -1]), array([1]), array(['b'], dtype=object), 2)
    """

    outputs: ModelOutputs
    labels: IntArray
    groups: NDArray[np.object_]

    @property
    def space(self) -> LabelSpace:
        """The label space of the heads."""
        return self.outputs.space

    @cached_property
    def classes(self) -> IntArray:
        """(N,) the classes, ``MISSING`` where a label is."""
        return self.space.encode(self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64]) -> LabelledOutputs:
        """The images at ``rows`` (M,), in that order."""
        return LabelledOutputs(self.outputs.take(rows), self.labels[rows], self.groups[rows])

    def whole(self) -> LabelledOutputs:
        """The images whose class is known."""
        return self.take(np.flatnonzero(self.classes >= 0))


@dataclass(frozen=True, eq=False)
class Priors:
    """The log-priors of the labels: the one that the outputs contain, and the one where the network is used.

    The two differ where training weighted the classes, or adjusted its logits: a rule that corrects for a prior must
    correct for the one in the outputs, or the correction is made twice.

    Attributes:
        implied: per head (C_t,), and for ``joint`` (C,), the log-prior that the outputs contain.
        natural: likewise, that of the labels where the network is used; taken from the training images.

    >>> priors = Priors(implied={"colour": np.log([0.5, 0.5])}, natural={"colour": np.log([0.9, 0.1])})
    >>> priors.shifts(["colour"])["colour"].round(3)
    array([ 0.588, -1.609])
    """

    implied: Mapping[str, FloatArray]
    natural: Mapping[str, FloatArray]

    def shifts(self, names: Sequence[str]) -> dict[str, FloatArray]:
        """By head (C_t,), log natural - log implied; a head of which the two are equal is left out.

        p(y | x) is proportional to p(x | y) p(y), so that added to log-probabilities under the implied prior this gives
        those under the natural one, up to a constant.
        """
        found = {name: self.natural[name] - self.implied[name] for name in names if name in self.implied}
        return {name: values for name, values in found.items() if np.abs(values - values.mean()).max() > 1e-9}
