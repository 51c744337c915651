"""Plug-in maximisation of the macro-F1 that is expected under the posteriors."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multitask.errors import UserError
from multitask.evaluation.decode.base import DecodeRule, best_cell, check_widths
from multitask.evaluation.decode.class_score import ClassScore, class_offsets
from multitask.evaluation.decode.outputs import LabelledOutputs, ModelOutputs, Priors
from multitask.evaluation.decode.temperature import FittedSettings, Tempered, fit_temperatures
from multitask.evaluation.metrics import FloatArray, IntArray, f1_scores
from multitask.labels import JOINT, LabelSpace
from multitask.settings import Float, NonNegativeFloat

STEPS = 40
"""Of Frank and Wolfe's algorithm."""


class ExpectedF1(Tempered):
    """argmax over y of g_y (2 p(y | x) - k_y), with p(y | x) the posterior, g (C,) the gains and k (C,) the costs.

    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log([[0.8, 0.2], [0.55, 0.45]])})
    >>> rule = ExpectedF1(temperatures={"colour": 1.0}, gains=(0.5, 1.0), costs=(0.9, 0.6), shifts={})
    >>> rule.decode(outputs), rule.class_score(space, joint=False).of(outputs).argmax(axis=0)
    (array([0, 1]), array([0, 1]))
    """

    name: Literal["expected_f1"] = "expected_f1"
    gains: tuple[NonNegativeFloat, ...]
    costs: tuple[NonNegativeFloat, ...]
    shifts: dict[str, tuple[Float, ...]]
    """Per head (C_t,), from the prior in the outputs to the natural one, as of ``Priors.shifts``."""

    def decode(self, outputs: ModelOutputs) -> IntArray:
        """(N,) classes that can occur."""
        probs = posteriors(outputs, self.temperatures, self._shifts())
        return _decide(probs, np.array(self.gains), np.array(self.costs), outputs.space)

    def class_score(self, space: LabelSpace, joint: bool) -> ClassScore | None:
        """What the class adds to the expected macro-F1."""
        offsets = class_offsets(self._shifts(), space, joint)
        return ClassScore(self.temperatures, offsets, gains=np.array(self.gains), costs=np.array(self.costs))

    def _shifts(self) -> dict[str, FloatArray]:
        return {name: np.array(row) for name, row in self.shifts.items()}

    def check(self, space: LabelSpace) -> None:
        """Refuses gains, costs and shifts of another label space.

        Raises:
            UserError: there is not one for each class.
        """
        super().check(space)
        for what, values in (("gains", self.gains), ("costs", self.costs)):
            if len(values) != space.num_classes:
                raise UserError(f"{what}: must be {space.num_classes} numbers, found {len(values)}")
        check_widths("shifts", self.shifts, space)


class ExpectedF1Settings(FittedSettings):
    """Plug-in rule for macro-F1 on calibrated posteriors: Narasimhan et al. 2015, https://arxiv.org/abs/1501.00287.

    argmax over y of g_y (2 p(y | x) - k_y), with p(y | x) the posterior of class y, g_y = 1 / (n_y + m_y) and
    k_y = F_y = 2 h_y / (n_y + m_y) its F1; n_y is the expected number of images of class y, m_y that of predictions of
    y and h_y that of hits. To first order that is what the prediction adds to sum_y F_y. Deciding by it changes m and
    h, on which it depends; the fixed point is approached by Frank and Wolfe's steps, as in the paper, and the best rule
    on the way is kept, since macro-F1 is not concave and the last need not be the best. All counts are expectations
    under the posteriors: labels serve for temperatures alone, so there is little to overfit; where the posteriors are
    wrong, so is the rule.

    >>> from multitask.labels import Task
    >>> red = np.array([0.9, 0.8, 0.6, 0.55])
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log([red, 1 - red]).T})
    >>> known = LabelledOutputs(outputs, np.array([[0], [0], [1], [1]]), np.array(list("abcd"), dtype=object))
    >>> ExpectedF1Settings().fit(known, priors=None, seed=0).decode(outputs)
    array([0, 0, 1, 1])
    """

    name: Literal["expected_f1"] = "expected_f1"

    def num_parameters(self, space: LabelSpace) -> int:
        """A temperature for each head; gains and costs follow from the posteriors."""
        return space.num_tasks

    def fit(self, known: LabelledOutputs, priors: Priors | None, seed: int) -> DecodeRule:
        """The rule with g and k of the posteriors of all images of ``known``."""
        space = known.space
        temperatures = fit_temperatures(known, priors)
        names = (JOINT,) if known.outputs.joint is not None else space.task_names
        shifts = {} if priors is None else priors.shifts(names)
        gains, costs = optimise(posteriors(known.outputs, temperatures, shifts), space)
        return ExpectedF1(
            temperatures=temperatures,
            gains=tuple(map(float, gains)),
            costs=tuple(map(float, costs)),
            shifts={name: tuple(map(float, values)) for name, values in shifts.items()},
        )


def posteriors(outputs: ModelOutputs, temperatures: dict[str, float], shifts: dict[str, FloatArray]) -> FloatArray:
    """The probabilities of the classes.

    Args:
        outputs: of the network for N images.
        temperatures: per head, or for ``joint``, as of ``ModelOutputs.scores``.
        shifts: likewise, added to the scaled log-probabilities.

    Returns:
        (C, N), columns sum to 1; 0 at cells that cannot occur.

    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log([[0.8, 0.2]])})
    >>> posteriors(outputs, temperatures={"colour": 2.0}, shifts={}).round(3)
    array([[0.667],
           [0.333]])
    """
    scores = outputs.scores(temperatures, shifts)
    if scores.size:
        scores -= scores.max(axis=0)
    probs: FloatArray = np.exp(scores)
    probs /= probs.sum(axis=0)
    return probs


def optimise(probs: FloatArray, space: LabelSpace) -> tuple[FloatArray, FloatArray]:
    """The gains and costs of the best expected macro-F1; symbols as in ``ExpectedF1Settings``.

    Args:
        probs: (C, N) posteriors.
        space: their label space.

    Returns:
        (C,) g, scaled to a maximum of 1, and (C,) k.

    >>> from multitask.labels import Task
    >>> probs = np.array([[0.9, 0.8, 0.6, 0.55], [0.1, 0.2, 0.4, 0.45]])
    >>> gains, costs = optimise(probs, LabelSpace([Task("colour", ("red", "blue"))]))
    >>> gains.round(3), costs.round(3)
    (array([0.45, 1.  ]), array([0.689, 0.309]))
    """
    size, num = probs.shape
    possible = space.possible
    given = probs.sum(axis=1)

    def outcome(gains: FloatArray, costs: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        predicted = _decide(probs, gains, costs, space)
        hits = np.bincount(predicted, weights=probs[predicted, np.arange(num)], minlength=size)
        counts: FloatArray = np.bincount(predicted, minlength=size).astype(np.float64)
        return hits.astype(np.float64), counts, float(f1_scores(hits, given, counts)[possible].mean())

    best = np.ones(size), np.zeros(size)  # decides for the most probable class
    hits, counts, best_value = outcome(*best)
    for step in range(STEPS):
        total = np.maximum(given + counts, 1e-9)
        gains, costs = np.where(possible, 1 / total, 0.0), np.where(possible, 2 * hits / total, 0.0)
        new_hits, new_counts, value = outcome(gains, costs)
        if value > best_value + 1e-12:
            best_value, best = value, (gains, costs)
        share = 2 / (step + 2)
        hits, counts = hits + share * (new_hits - hits), counts + share * (new_counts - counts)
    gains, costs = best
    return gains / gains.max(), costs


def _decide(probs: FloatArray, gains: FloatArray, costs: FloatArray, space: LabelSpace) -> IntArray:
    values = gains[:, None] * (2 * probs - costs[:, None])
    values[~space.possible] = -np.inf
    return best_cell(values)[0]
