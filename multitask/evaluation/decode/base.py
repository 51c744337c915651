"""Decode rules: their base, the outputs and labels that they are fitted on, and the priors in the outputs.

Shapes: N images, H heads, C_t labels of head t, C classes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multitask.errors import UserError
from multitask.evaluation.metrics import FloatArray, IntArray, f1_scores
from multitask.labels import LabelSpace
from multitask.settings import Settings, Table

if TYPE_CHECKING:
    from torch import Tensor

JOINT = "joint"
"""Beside the heads' names, that of the classes as a whole where a joint term is learned; no head's name."""

_FLOOR = -1e4
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
        heads = {name: _finite(log_probs[name]) for name in space.task_names}
        return cls(space, heads, None if joint is None else _finite(joint))

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


def _finite(values: Tensor) -> FloatArray:
    found = values.detach().cpu().double().numpy()
    return np.where(found > _FLOOR, found, _FLOOR)  # also what is no number


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


def best_cell(
    scores: FloatArray, cells: Sequence[int] | NDArray[np.int64] | None = None
) -> tuple[IntArray, FloatArray]:
    """The best of some classes for each image, the first of equals, and its score.

    Args:
        scores: (C, N).
        cells: the classes; None: all.

    Returns:
        (N,) classes and (N,) scores.

    >>> best_cell(np.array([[0.3, 0.9], [0.7, 0.1]]))
    (array([1, 0]), array([0.7, 0.9]))
    """
    cells = range(len(scores)) if cells is None else cells
    value = scores[cells[0]].copy()
    which = np.full(scores.shape[1], cells[0], dtype=np.int16)
    # A class at a time: for few classes and many images that is several times faster than numpy's argmax.
    for cell in cells[1:]:
        better = scores[cell] > value
        np.maximum(value, scores[cell], out=value)
        np.copyto(which, cell, where=better, casting="unsafe")
    return which.astype(np.int64), value


def macro_f1(classes: IntArray, predicted: IntArray, possible: NDArray[np.bool_]) -> float:
    """The mean F1 over the classes that can occur.

    Args:
        classes: (N,) given.
        predicted: (N,).
        possible: (C,) bool, the classes that can occur.

    >>> macro_f1(np.array([0, 0, 1]), np.array([0, 1, 1]), possible=np.array([True, True]))
    0.6666666666666666
    """
    size = len(possible)
    hits = np.bincount(classes[classes == predicted], minlength=size)
    scores = f1_scores(hits, np.bincount(classes, minlength=size), np.bincount(predicted, minlength=size))
    return float(scores[possible].mean())


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

    @property
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


class DecodeRule(Settings):
    """A fitted rule: its parameters are plain numbers, which a run keeps as JSON.

    >>> class AlwaysFirst(DecodeRule):
    ...     name: str = "always_first"
    ...
    ...     def decode(self, outputs):
    ...         return np.zeros(len(outputs), dtype=np.int64)
    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> rule = AlwaysFirst()
    >>> rule.check(space)
    >>> rule.decode(ModelOutputs(space, {"colour": np.log([[0.6, 0.4], [0.1, 0.9]])}))
    array([0, 0])
    """

    name: str

    @abstractmethod
    def decode(self, outputs: ModelOutputs) -> IntArray:
        """The class of each image.

        Args:
            outputs: of the network for N images.

        Returns:
            (N,) classes that can occur.
        """

    def check(self, space: LabelSpace) -> None:
        """Refuses parameters of another label space.

        Raises:
            UserError: a parameter has other heads, or another number of labels, than ``space``.
        """


FITTED_RULES: Table[DecodeRule] = Table("fitted decode rule", DecodeRule, default="independent")
"""The table of what a run keeps of its rules; its rows stand in the package's ``__init__``."""

AnyDecodeRule = Annotated[DecodeRule, FITTED_RULES]


def check_widths(what: str, found: Mapping[str, Sequence[float]], space: LabelSpace) -> None:
    """Refuses numbers by head that are not one for each of its labels.

    Args:
        what: the parameter, for the error.
        found: per head (C_t,), or for ``joint`` (C,).
        space: the label space of the heads.

    Raises:
        UserError: a head is unknown, or has another number of labels.

    >>> from multitask.labels import Task
    >>> check_widths("biases", {"colour": [0.1]}, LabelSpace([Task("colour", ("red", "blue"))]))
    Traceback (most recent call last):
    multitask.errors.UserError: biases.colour: must be 2 numbers, found 1
    """
    widths = {**{task.name: task.num_classes for task in space.tasks}, JOINT: space.num_classes}
    for name, values in found.items():
        if widths.get(name) != len(values):
            raise UserError(
                f"{what}.{name}: must be {widths[name]} numbers, found {len(values)}"
                if name in widths
                else f"{what}.{name}: there is no such head"
            )


class DecodeSettings(Settings):
    """The settings of a decode rule, which fit it.

    >>> from multitask.labels import Task
    >>> from multitask.evaluation.decode.plain import JointSettings
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log([[0.6, 0.4], [0.1, 0.9]])})
    >>> known = LabelledOutputs(outputs, np.array([[0], [1]]), np.array(["a", "b"], dtype=object))
    >>> settings = JointSettings()
    >>> settings.problem(num_classes=2) is None
    True
    >>> settings.fit(known, priors=None, seed=0).decode(outputs), settings.unfitted().decode(outputs)
    (array([0, 1]), array([0, 1]))
    """

    name: str
    needs_validation: ClassVar[bool] = True
    """Whether fitting takes images that the network was not trained on."""

    def problem(self, num_classes: int) -> str | None:
        """Why the rule cannot be fitted for so many classes; None: it can."""
        return None

    @abstractmethod
    def fit(self, known: LabelledOutputs, priors: Priors | None, seed: int) -> DecodeRule:
        """The rule with parameters that are best on ``known``.

        Args:
            known: images that the network was not trained on, at least one with a class.
            priors: of the network's outputs; None: the frequencies in ``known``.
            seed: of random choices.
        """

    @abstractmethod
    def unfitted(self) -> DecodeRule:
        """The rule that is used where there are no images to fit this one on, and after every epoch."""


DECODE_RULES: Table[DecodeSettings] = Table("decode rule", DecodeSettings, default="independent")
"""The table of decode rules; its rows stand in the package's ``__init__``. ``auto`` compares those in
``auto.candidates``."""

AnyDecode = Annotated[DecodeSettings, DECODE_RULES]
