"""Temperature scaling: Guo et al. 2017, section 4.2, https://arxiv.org/abs/1706.04599, for each head by itself."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import Field

from multitask.errors import UserError
from multitask.evaluation.decode.base import JOINT, DecodeRule, DecodeSettings, LabelledOutputs, Priors
from multitask.evaluation.decode.plain import Joint
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.labels import MISSING, LabelSpace
from multitask.settings import Float

LEAST, MOST = 0.05, 20.0
"""Beyond these a temperature says no more than that all answers are right, or that none has to do with the labels."""

Temperature = Annotated[Float, Field(ge=LEAST, le=MOST)]

_CERTAIN = -100.0
"""A label that the network calls impossible counts as no less probable than this, or one picture would decide alone."""


def fit_temperature(log_probs: FloatArray, labels: IntArray, shift: FloatArray | None = None) -> float:
    """The temperature of the least negative log-likelihood; above 1 where the network is surer than it is right.

    The likelihood is convex in the inverse temperature: Newton's steps in its logarithm, kept within a bracket.

    Args:
        log_probs: (N, C) log-probabilities.
        labels: (N,) the labels, ``MISSING`` where unknown.
        shift: (C,) what is added after scaling, as for a prior other than that in the outputs; None: nothing.

    Returns:
        Within ``LEAST`` and ``MOST``; 1 where no label is known.
    """
    rows = np.flatnonzero(labels != MISSING)
    if not len(rows):
        return 1.0
    values = np.maximum(log_probs[rows].T, _CERTAIN)
    given = values[labels[rows], np.arange(len(rows))].mean()
    added = 0.0 if shift is None else np.asarray(shift)[:, None]
    low, high, here = -math.log(MOST), -math.log(LEAST), 0.0
    for _ in range(60):
        inverse = math.exp(here)
        scaled = inverse * values + added
        probs = np.exp(scaled - scaled.max(axis=0))
        probs /= probs.sum(axis=0)
        means = (probs * values).sum(axis=0)
        slope = float(means.mean() - given)
        curvature = float(((probs * values**2).sum(axis=0) - means**2).mean())
        low, high = (low, here) if slope > 0 else (here, high)
        # In the logarithm b of the inverse temperature: the slope is s e^b, its own slope c e^2b + s e^b.
        bend = curvature * inverse + slope
        target = here - slope / bend if bend > 0 else math.inf
        if not low < target < high:
            target = (low + high) / 2
        if abs(target - here) < 1e-9:
            break
        here = target
    return min(max(math.exp(-here), LEAST), MOST)


def fit_temperatures(known: LabelledOutputs, priors: Priors | None) -> dict[str, float]:
    """A temperature for each head and, where a joint term is learned, one for ``joint``."""
    names = known.outputs.tables()
    shifts = {} if priors is None else priors.shifts(tuple(names))
    columns = dict(zip(known.space.task_names, known.labels.T, strict=True))
    return {
        name: fit_temperature(values, known.classes if name == JOINT else columns[name], shifts.get(name))
        for name, values in names.items()
    }


class Tempered(DecodeRule):
    """A fitted rule that begins with a temperature for each head, or for the classes where a joint term is learned."""

    temperatures: dict[str, Temperature]

    def check(self, space: LabelSpace) -> None:
        """Checks that the temperatures are those of this space's heads.

        Raises:
            UserError: they are not.
        """
        if {*self.temperatures} - {JOINT} != {*space.task_names}:
            raise UserError(f"temperatures: must be of {', '.join(space.task_names)}, found {[*self.temperatures]}")


class FittedSettings(DecodeSettings):
    """A rule that is fitted on people whom the network was not trained on."""

    def unfitted(self) -> DecodeRule:
        """The most probable class."""
        return Joint()
