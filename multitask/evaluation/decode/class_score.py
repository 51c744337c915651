"""The score that a fitted rule decides by, in plain numbers, for whoever computes it elsewhere: in an exported file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from multitask.evaluation.decode.outputs import ModelOutputs, product
from multitask.evaluation.metrics import FloatArray
from multitask.labels import JOINT, LabelSpace


@dataclass(frozen=True, eq=False)
class ClassScore:
    """A score of the classes, of which a rule decides for the greatest.

    z_y = log p(y | x) / T + b_y where there is a joint term, else sum_t log p_t(y_t | x) / T_t + b_y, with p_t the
    probabilities of head t, y_t the label of that task in class y, T the temperatures and b the offsets. The score is z
    or, where there are gains g and costs k, g_y (2 softmax(z)_y - k_y); and -inf at cells that cannot occur.

    Attributes:
        temperatures: T, per head, and for ``joint``; of a name that is not in it 1.
        offsets: (C,) b.
        heads_alone: whether a joint term is left aside.
        gains: (C,) g; None: the score is z.
        costs: (C,) k, beside gains.

    >>> from multitask.labels import Task
    >>> outputs = ModelOutputs(LabelSpace([Task("colour", ("red", "blue"))]), {"colour": np.log([[0.8, 0.2]])})
    >>> score = ClassScore({}, np.zeros(2), gains=np.array([0.5, 1.0]), costs=np.array([0.9, 0.6]))
    >>> score.of(outputs).round(2)
    array([[ 0.35],
           [-0.2 ]])
    """

    temperatures: Mapping[str, float]
    offsets: FloatArray
    heads_alone: bool = False
    gains: FloatArray | None = None
    costs: FloatArray | None = None

    def of(self, outputs: ModelOutputs) -> FloatArray:
        """(C, N) scores of N images."""
        scores = (outputs.without_joint() if self.heads_alone else outputs).scores(self.temperatures)
        scores += self.offsets[:, None]
        if self.gains is None or self.costs is None:
            return scores
        probs = np.exp(scores - scores.max(axis=0))
        values: FloatArray = self.gains[:, None] * (2 * probs / probs.sum(axis=0) - self.costs[:, None])
        return np.where(outputs.space.possible[:, None], values, -np.inf)


def class_offsets(offsets: Mapping[str, FloatArray], space: LabelSpace, joint: bool) -> FloatArray:
    """(C,) the offsets of the classes, from those that ``ModelOutputs.scores`` takes.

    Args:
        offsets: per head (C_t,), or the joint's (C,); of a name that is not in it 0.
        space: the label space of the heads.
        joint: whether the scores are a joint term's.

    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("size", ("small", "large")), Task("colour", ("red", "blue"))])
    >>> class_offsets({"size": np.array([0.0, 1.0])}, space, joint=False)
    array([0., 0., 1., 1.])
    """
    if joint:
        return np.asarray(offsets.get(JOINT, np.zeros(space.num_classes)), dtype=float)
    return product({task.name: offsets.get(task.name, np.zeros(task.num_classes)) for task in space.tasks}, space)
