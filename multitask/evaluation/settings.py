"""The settings of evaluation: how a network's outputs are decoded, scored and reported."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multitask.data.samplers import SamplerSettings
from multitask.evaluation.decode.base import DecodeSettings
from multitask.labels import LabelSpace
from multitask.losses.objective import Objective


@dataclass(frozen=True, eq=False)
class EvaluationSettings:
    """The part of a config that evaluation needs.

    Attributes:
        space: the label space of the tasks.
        seed: the run's; those of resampling and of fitting the decode rules are derived from it.
        objective: what the network was trained for.
        sampler: that chose how often it was trained on each image.
        decode: the decode rule.
        joint_term: whether the network's ``joint`` output says more than its heads.
        unseen: (C,) bool, the classes that are held out of training.
        monitor: the score that the best epoch is picked by; None: none is.
        backbone: its name.
        sharing: the name of the way in which the tasks share the network.
        kept: by which rule an epoch's weights were kept; None: by ``monitor``, by those who validate.
    """

    space: LabelSpace
    seed: int
    objective: Objective
    sampler: SamplerSettings
    decode: DecodeSettings
    joint_term: bool
    unseen: NDArray[np.bool_]
    monitor: str | None
    backbone: str
    sharing: str
    kept: str | None = None

    @property
    def learned(self) -> LabelSpace:
        """The heads' label space."""
        return self.objective.learned
