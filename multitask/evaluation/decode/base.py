"""Decode rules: the base of their settings, and of the rules that these fit."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from multitask.errors import UserError
from multitask.evaluation.decode.class_score import ClassScore
from multitask.evaluation.decode.outputs import LabelledOutputs, ModelOutputs, Priors
from multitask.evaluation.metrics import FloatArray, IntArray, f1_scores
from multitask.labels import JOINT, LabelSpace
from multitask.settings import Settings, Table

FEW = 300
"""Up to so many images numpy's argmax is the faster: a class at a time costs three calls for each."""


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
    if scores.shape[1] <= FEW:
        within = scores if cells is None else scores[np.asarray(cells)]
        places = within.argmax(axis=0)
        best = within[places, np.arange(len(places))]
        return places if cells is None else np.asarray(cells, dtype=np.int64)[places], best
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
    >>> rule.class_score(space, joint=False) is None
    True
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

    def class_score(self, space: LabelSpace, joint: bool) -> ClassScore | None:
        """The score whose greatest is the class that ``decode`` gives, but for ties.

        An exported file decides by it, and gives no class where there is none.

        Args:
            space: the label space of the heads.
            joint: whether there is a joint term.
        """
        return None

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

    A rule is two classes, here of one number b: argmax over y of log p(y | x) + b where y was given less often than
    half of the classes. Their names, ``rare``, are those of their rows in ``DECODE_RULES`` and ``FITTED_RULES``.

    >>> class RareRule(DecodeRule):
    ...     name: str = "rare"
    ...     biases: tuple[float, ...]
    ...
    ...     def decode(self, outputs):
    ...         return best_cell(outputs.scores() + np.array(self.biases)[:, None])[0]
    ...
    ...     def check(self, space):
    ...         check_widths("biases", {JOINT: self.biases}, space)
    >>> class RareSettings(DecodeSettings):
    ...     name: str = "rare"
    ...     bonus: float = 0.5
    ...
    ...     def num_parameters(self, space):
    ...         return 1
    ...
    ...     def fit(self, known, priors, seed):
    ...         counts = np.bincount(known.classes[known.classes >= 0], minlength=known.space.num_classes)
    ...         rare = counts < np.median(counts[known.space.possible])
    ...         return RareRule(biases=tuple(np.where(rare, self.bonus, 0.0).tolist()))
    ...
    ...     def unfitted(self):
    ...         return IndependentSettings().unfitted()
    >>> from multitask.evaluation.decode.plain import IndependentSettings
    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])})
    >>> known = LabelledOutputs(outputs, np.array([[0], [0], [1]]), np.array(["a", "b", "c"], dtype=object))
    >>> settings = RareSettings()
    >>> settings.problem(num_classes=2), settings.num_parameters(space)
    (None, 1)
    >>> settings.fit(known, priors=None, seed=0).decode(outputs), settings.unfitted().decode(outputs)
    (array([0, 0, 1]), array([0, 0, 0]))
    >>> from multitask.testing import check_decode_rule
    >>> DECODE_RULES["rare"], FITTED_RULES["rare"] = RareSettings, RareRule
    >>> check_decode_rule(settings)
    >>> del DECODE_RULES["rare"], FITTED_RULES["rare"]
    """

    name: str
    needs_validation: ClassVar[bool] = True
    """Whether fitting takes images that the network was not trained on."""

    def problem(self, num_classes: int) -> str | None:
        """Why the rule cannot be fitted for so many classes; None: it can."""
        return None

    def num_parameters(self, space: LabelSpace) -> int | None:
        """The number of parameters that are fitted: of rules that score alike, ``auto`` takes the one of fewest.

        None: it leaves this rule out. What it compares are the settings that follow from the name alone; every run fits
        and reports them.

        Args:
            space: the label space of the heads.
        """
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
"""The table of decode rules; its rows stand in the package's ``__init__``."""

AnyDecode = Annotated[DecodeSettings, DECODE_RULES]
