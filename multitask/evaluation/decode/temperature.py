"""Temperature scaling of each head by itself: Guo et al. 2017, section 4.2, https://arxiv.org/abs/1706.04599."""

from __future__ import annotations

import math
from typing import Annotated
from weakref import WeakKeyDictionary

import numpy as np
from pydantic import Field

from multitask.errors import UserError
from multitask.evaluation.decode.base import DecodeRule, DecodeSettings
from multitask.evaluation.decode.outputs import LabelledOutputs, Priors
from multitask.evaluation.decode.plain import Joint
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.labels import JOINT, MISSING, LabelSpace
from multitask.settings import Float

LEAST, MOST = 0.05, 20.0
"""Beyond these a temperature means only that all predictions are right, or that none depends on the labels."""

Temperature = Annotated[Float, Field(ge=LEAST, le=MOST)]

_CERTAIN = -100.0
"""The least log-probability that a label counts with, or one image that is wholly wrong would decide alone."""


def fit_temperature(log_probs: FloatArray, labels: IntArray, shift: FloatArray | None = None) -> float:
    """The temperature T that minimises -sum_i log softmax(z_i / T + s)_(y_i); above 1 for an overconfident network.

    z_i (C,) are the log-probabilities of image i, y_i its label and s (C,) the shift. The sum is convex in 1 / T, which
    is found by Newton's method in its logarithm, kept within a bracket.

    Args:
        log_probs: (N, C) z.
        labels: (N,) y, ``MISSING`` where unknown.
        shift: (C,) s, as for a prior other than that in the outputs; None: 0.

    Returns:
        Within ``LEAST`` and ``MOST``; 1 where no label is known.

    >>> sure = np.log([[0.9, 0.1]] * 4)  # but right in three of four
    >>> round(fit_temperature(sure, np.array([0, 0, 0, 1])), 3)  # log 9 / log 3
    2.0
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


_FITTED: WeakKeyDictionary[LabelledOutputs, tuple[Priors | None, dict[str, float]]] = WeakKeyDictionary()
"""Those that were fitted on outputs, as long as these live: the rules that are compared all begin with them."""


def fit_temperatures(known: LabelledOutputs, priors: Priors | None) -> dict[str, float]:
    """A temperature for each head and, where a joint term is learned, one for ``joint``; see ``fit_temperature``.

    >>> from multitask.evaluation.decode.outputs import ModelOutputs
    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log([[0.9, 0.1]] * 4)})
    >>> known = LabelledOutputs(outputs, np.array([[0], [0], [0], [1]]), np.array(list("abcd"), dtype=object))
    >>> {name: round(value, 3) for name, value in fit_temperatures(known, priors=None).items()}
    {'colour': 2.0}
    """
    before = _FITTED.get(known)
    if before is not None and before[0] is priors:
        return dict(before[1])
    names = known.outputs.tables()
    shifts = {} if priors is None else priors.shifts(tuple(names))
    columns = dict(zip(known.space.task_names, known.labels.T, strict=True))
    found = {
        name: fit_temperature(values, known.classes if name == JOINT else columns[name], shifts.get(name))
        for name, values in names.items()
    }
    _FITTED[known] = (priors, found)
    return dict(found)


class Tempered(DecodeRule):
    """A fitted rule on scores with a temperature for each head, and one for the classes where a joint term is learned.

    >>> from multitask.evaluation.decode.bias import ClassBias
    >>> from multitask.labels import Task
    >>> rule = ClassBias(temperatures={"colour": 1.2}, biases=(0.0, 0.5))
    >>> rule.check(LabelSpace([Task("size", ("small", "large"))]))
    Traceback (most recent call last):
    multitask.errors.UserError: temperatures: must be of size, found ['colour']
    """

    temperatures: dict[str, Temperature]

    def check(self, space: LabelSpace) -> None:
        """Refuses temperatures of other heads than this space's.

        Raises:
            UserError: a head has none, or one is of no head.
        """
        if {*self.temperatures} - {JOINT} != {*space.task_names}:
            raise UserError(f"temperatures: must be of {', '.join(space.task_names)}, found {[*self.temperatures]}")


class FittedSettings(DecodeSettings):
    """The settings of a rule that is fitted on groups which the network was not trained on.

    >>> from multitask.evaluation.decode.bias import HeadBiasSettings
    >>> HeadBiasSettings().needs_validation, HeadBiasSettings().unfitted()
    (True, Joint(name='joint'))
    """

    def unfitted(self) -> DecodeRule:
        """The most probable class, ``Joint``."""
        return Joint()
