"""The two rules without parameters."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from multitask.evaluation.decode.base import DecodeRule, DecodeSettings, best_cell
from multitask.evaluation.decode.class_score import ClassScore
from multitask.evaluation.decode.outputs import LabelledOutputs, ModelOutputs, Priors
from multitask.evaluation.metrics import IntArray
from multitask.labels import LabelSpace


class Independent(DecodeRule):
    """(argmax over y_t of p_t(y_t | x)) for every head t, with p_t the probabilities of head t.

    >>> from multitask.labels import LabelSpace, Task
    >>> space = LabelSpace([Task("size", ("small", "large")), Task("colour", ("red", "blue"))])
    >>> heads = {"size": np.log([[0.2, 0.8]]), "colour": np.log([[0.9, 0.1]])}
    >>> space.class_names[Independent().decode(ModelOutputs(space, heads))[0]]
    'large/red'
    >>> Independent().class_score(space, joint=True).heads_alone
    True
    """

    name: Literal["independent"] = "independent"

    def decode(self, outputs: ModelOutputs) -> IntArray:
        """(N,) classes that can occur."""
        space = outputs.space
        labels = np.stack([outputs.heads[name].argmax(axis=1) for name in space.task_names], axis=1)
        classes = space.encode(labels)
        rows = np.flatnonzero(~space.possible[classes])
        if len(rows):
            classes[rows] = best_cell(outputs.without_joint().take(rows).scores())[0]
        return classes

    def class_score(self, space: LabelSpace, joint: bool) -> ClassScore | None:
        """The product of the heads' probabilities."""
        return ClassScore({}, np.zeros(space.num_classes), heads_alone=True)


class Joint(DecodeRule):
    """argmax over y of p(y | x), with p(y | x) the probability of class y, or the product of the heads'.

    >>> from multitask.labels import LabelSpace, Task
    >>> space = LabelSpace([Task("size", ("small", "large"))])
    >>> outputs = ModelOutputs(space, {"size": np.log([[0.2, 0.8]])}, joint=np.log([[0.6, 0.4]]))
    >>> Joint().decode(outputs), Joint().class_score(space, joint=True).of(outputs).argmax(axis=0)
    (array([0]), array([0]))
    """

    name: Literal["joint"] = "joint"

    def decode(self, outputs: ModelOutputs) -> IntArray:
        """(N,) classes that can occur."""
        return best_cell(outputs.scores())[0]

    def class_score(self, space: LabelSpace, joint: bool) -> ClassScore | None:
        """The probability of the class."""
        return ClassScore({}, np.zeros(space.num_classes))


class IndependentSettings(DecodeSettings):
    """Each head's most probable label, combined.

    Where the combination is a cell that cannot occur: the most probable cell that can, taking the heads as independent.
    That is one rule, since the argmax of a product is the product of the argmaxes.

    >>> IndependentSettings().unfitted()
    Independent(name='independent')
    """

    name: Literal["independent"] = "independent"
    needs_validation: ClassVar[bool] = False

    def num_parameters(self, space: LabelSpace) -> int:
        """0."""
        return 0

    def fit(self, known: LabelledOutputs, priors: Priors | None, seed: int) -> DecodeRule:
        """The rule, which has no parameters."""
        return Independent()

    def unfitted(self) -> DecodeRule:
        """The rule, which has no parameters."""
        return Independent()


class JointSettings(DecodeSettings):
    """The most probable class, the joint term included where one is learned; without one the same as independent.

    >>> JointSettings().unfitted()
    Joint(name='joint')
    """

    name: Literal["joint"] = "joint"
    needs_validation: ClassVar[bool] = False

    def num_parameters(self, space: LabelSpace) -> int:
        """0."""
        return 0

    def fit(self, known: LabelledOutputs, priors: Priors | None, seed: int) -> DecodeRule:
        """The rule, which has no parameters."""
        return Joint()

    def unfitted(self) -> DecodeRule:
        """The rule, which has no parameters."""
        return Joint()
