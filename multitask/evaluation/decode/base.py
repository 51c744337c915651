"""What every decode rule works with: a network's answers, the labels it is fitted on, and the priors in its outputs."""

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
"""Beside the heads' names, what concerns the classes as a whole where a joint term is learned; no head's name."""

_FLOOR = -1e4
"""Stands for the logarithm of 0, with which sums and means cannot be taken."""


@dataclass(frozen=True, eq=False)
class ModelOutputs:
    """What a network says of N pictures.

    Attributes:
        space: the label space of the heads.
        heads: per head, (N, C_t) log-probabilities, finite.
        joint: (N, C) log-probabilities of the classes, finite, where a joint term is learned; else None, and the heads
            are taken as independent.
    """

    space: LabelSpace
    heads: Mapping[str, FloatArray]
    joint: FloatArray | None = None

    @classmethod
    def of(cls, log_probs: Mapping[str, Tensor], space: LabelSpace, joint: Tensor | None = None) -> ModelOutputs:
        """From the heads' (N, C_t) log-probabilities and, where a joint term is learned, the classes' (N, C)."""
        heads = {name: _finite(log_probs[name]) for name in space.task_names}
        return cls(space, heads, None if joint is None else _finite(joint))

    def __len__(self) -> int:
        return len(next(iter(self.heads.values())))

    def take(self, rows: NDArray[np.int64]) -> ModelOutputs:
        """The pictures at ``rows``, in that order."""
        heads = {name: values[rows] for name, values in self.heads.items()}
        return ModelOutputs(self.space, heads, None if self.joint is None else self.joint[rows])

    def without_joint(self) -> ModelOutputs:
        """What the heads alone say."""
        return ModelOutputs(self.space, self.heads)

    def scores(
        self, temperatures: Mapping[str, float] | None = None, offsets: Mapping[str, ArrayLike] | None = None
    ) -> FloatArray:
        """(C, N) log-probabilities of the classes, not normalised; -inf at cells that cannot occur.

        Classes come first, so that what is done to one of them is done to memory in one piece.

        Args:
            temperatures: what each head's log-probabilities, or the joint ones, are divided by; None: 1.
            offsets: what is then added: per head (C_t,), or the joint's (C,); None: nothing.
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
        """Whatever has a temperature of its own: the heads' log-probabilities and, where there is one, the joint's."""
        return {**self.heads, **({} if self.joint is None else {JOINT: self.joint})}


def _finite(values: Tensor) -> FloatArray:
    found = values.detach().cpu().double().numpy()
    return np.where(found > _FLOOR, found, _FLOOR)  # also what is no number


def product(parts: Mapping[str, FloatArray], space: LabelSpace) -> FloatArray:
    """Sums of one row of each head: per head (C_t, ...) to (C, ...), rows in class order."""
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
    """The best of some classes for each picture, the first of equals, and its score.

    Args:
        scores: (C, N).
        cells: the classes; None: all.
    """
    cells = range(len(scores)) if cells is None else cells
    value = scores[cells[0]].copy()
    which = np.full(scores.shape[1], cells[0], dtype=np.int16)
    # A class at a time: for few classes and many pictures that is several times faster than numpy's argmax.
    for cell in cells[1:]:
        better = scores[cell] > value
        np.maximum(value, scores[cell], out=value)
        np.copyto(which, cell, where=better, casting="unsafe")
    return which.astype(np.int64), value


def macro_f1(classes: IntArray, predicted: IntArray, possible: NDArray[np.bool_]) -> float:
    """Macro-F1 over the classes that can occur, of (N,) given and predicted classes."""
    size = len(possible)
    hits = np.bincount(classes[classes == predicted], minlength=size)
    scores = f1_scores(hits, np.bincount(classes, minlength=size), np.bincount(predicted, minlength=size))
    return float(scores[possible].mean())


@dataclass(frozen=True, eq=False)
class LabelledOutputs:
    """N pictures to fit a rule on.

    Attributes:
        outputs: what the network says of them.
        labels: (N, H) what each head should have said, ``MISSING`` where unknown.
        groups: (N,) whose pictures they are.
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
        """(N,) the given classes, ``MISSING`` where a label is."""
        return self.space.encode(self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64]) -> LabelledOutputs:
        """The pictures at ``rows``, in that order."""
        return LabelledOutputs(self.outputs.take(rows), self.labels[rows], self.groups[rows])

    def whole(self) -> LabelledOutputs:
        """The pictures whose class is known."""
        return self.take(np.flatnonzero(self.classes >= 0))


@dataclass(frozen=True, eq=False)
class Priors:
    """What the network was taught about how frequent labels are, and how frequent they are.

    The two differ where training weighted the classes, or adjusted its logits: who corrects for a prior must correct
    for the one in the outputs, or the correction is made twice.

    Attributes:
        implied: per head (C_t,), and for ``joint`` (C,), the log-prior that the outputs hold.
        natural: likewise, how frequent the labels are where the network is used; as among the training pictures.
    """

    implied: Mapping[str, FloatArray]
    natural: Mapping[str, FloatArray]

    def shifts(self, names: Sequence[str]) -> dict[str, FloatArray]:
        """What turns outputs under the implied prior into posteriors under the natural one, by head; none where equal.

        p(y|x) is proportional to p(x|y) p(y), so the logarithms' difference is added to log-probabilities.
        """
        found = {name: self.natural[name] - self.implied[name] for name in names if name in self.implied}
        return {name: values for name, values in found.items() if np.abs(values - values.mean()).max() > 1e-9}


class DecodeRule(Settings):
    """A rule with its parameters: plain numbers, which a run keeps as JSON."""

    name: str

    @abstractmethod
    def decode(self, outputs: ModelOutputs) -> IntArray:
        """The class of each picture.

        Args:
            outputs: what the network says of N pictures.

        Returns:
            (N,) classes that can occur.
        """

    def check(self, space: LabelSpace) -> None:
        """Checks that the parameters are of this label space.

        Raises:
            UserError: they are not.
        """


FITTED_RULES: Table[DecodeRule] = Table("fitted decode rule", DecodeRule, default="independent")
"""The table of what a run keeps of its rules; its rows stand in the package's ``__init__``."""

AnyDecodeRule = Annotated[DecodeRule, FITTED_RULES]


def check_widths(what: str, found: Mapping[str, Sequence[float]], space: LabelSpace) -> None:
    """Checks that there is a number for each label of the heads that have any.

    Raises:
        UserError: a head is unknown, or has another number of labels.
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
    """A decode rule: its settings, and how it is fitted."""

    name: str
    needs_validation: ClassVar[bool] = True
    """Whether there is anything to fit."""

    def problem(self, num_classes: int) -> str | None:
        """Why the rule cannot be fitted for so many classes; None: it can."""
        return None

    @abstractmethod
    def fit(self, known: LabelledOutputs, priors: Priors | None, seed: int) -> DecodeRule:
        """The rule with parameters that suit ``known``.

        Args:
            known: pictures that the network was not trained on, at least one with a class.
            priors: those in the network's outputs; None: the frequencies in ``known``.
            seed: of whatever is left to chance.
        """

    @abstractmethod
    def unfitted(self) -> DecodeRule:
        """What stands in for the rule where nobody is there to fit it on, as after every epoch."""


DECODE_RULES: Table[DecodeSettings] = Table("decode rule", DecodeSettings, default="independent")
"""The table of decode rules; its rows stand in the package's ``__init__``. ``auto`` compares those in
``auto.candidates``."""

AnyDecode = Annotated[DecodeSettings, DECODE_RULES]
