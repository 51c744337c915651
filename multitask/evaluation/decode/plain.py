"""The two rules that have nothing to fit."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from multitask.evaluation.decode.base import (
    DecodeRule,
    DecodeSettings,
    LabelledOutputs,
    ModelOutputs,
    Priors,
    best_cell,
)
from multitask.evaluation.metrics import IntArray


class Independent(DecodeRule):
    """Each head's most probable label, combined."""

    name: Literal["independent"] = "independent"

    def decode(self, outputs: ModelOutputs) -> IntArray:
        """(N,) classes."""
        space = outputs.space
        labels = np.stack([outputs.heads[name].argmax(axis=1) for name in space.task_names], axis=1)
        classes = space.encode(labels)
        rows = np.flatnonzero(~space.possible[classes])
        if len(rows):
            classes[rows] = best_cell(outputs.without_joint().take(rows).scores())[0]
        return classes


class Joint(DecodeRule):
    """The most probable class."""

    name: Literal["joint"] = "joint"

    def decode(self, outputs: ModelOutputs) -> IntArray:
        """(N,) classes."""
        return best_cell(outputs.scores())[0]


class IndependentSettings(DecodeSettings):
    """Each head's most probable label, combined.

    Where the combination is a cell that cannot occur: the most probable cell that can, taking the heads as independent.
    That is one rule, since the arg-max of a product is the product of the arg-maxes.
    """

    name: Literal["independent"] = "independent"
    needs_validation: ClassVar[bool] = False

    def fit(self, known: LabelledOutputs, priors: Priors | None, seed: int) -> DecodeRule:
        """There is nothing to fit."""
        return Independent()

    def unfitted(self) -> DecodeRule:
        """The rule itself."""
        return Independent()


class JointSettings(DecodeSettings):
    """The most probable class, the joint term included where one is learned; without one the same as independent."""

    name: Literal["joint"] = "joint"
    needs_validation: ClassVar[bool] = False

    def fit(self, known: LabelledOutputs, priors: Priors | None, seed: int) -> DecodeRule:
        """There is nothing to fit."""
        return Joint()

    def unfitted(self) -> DecodeRule:
        """The rule itself."""
        return Joint()
