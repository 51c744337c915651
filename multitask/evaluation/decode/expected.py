"""The rule that maximises the macro-F1 which the posteriors themselves promise."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multitask.errors import UserError
from multitask.evaluation.decode.base import (
    JOINT,
    DecodeRule,
    LabelledOutputs,
    ModelOutputs,
    Priors,
    best_cell,
    check_widths,
)
from multitask.evaluation.decode.temperature import FittedSettings, Tempered, fit_temperatures
from multitask.evaluation.metrics import FloatArray, IntArray, f1_scores
from multitask.labels import LabelSpace
from multitask.settings import Float, NonNegativeFloat

STEPS = 40


class ExpectedF1(Tempered):
    """The class of the highest gain (2 p(class | x) - cost), a gain and a cost for every class."""

    name: Literal["expected_f1"] = "expected_f1"
    gains: tuple[NonNegativeFloat, ...]
    costs: tuple[NonNegativeFloat, ...]
    shifts: dict[str, tuple[Float, ...]]
    """From the prior in the outputs to the natural one, per head; none where they are the same."""

    def decode(self, outputs: ModelOutputs) -> IntArray:
        """(N,) classes."""
        probs = posteriors(outputs, self.temperatures, {name: np.array(row) for name, row in self.shifts.items()})
        return _decide(probs, np.array(self.gains), np.array(self.costs), outputs.space)

    def check(self, space: LabelSpace) -> None:
        """Checks that there are a gain and a cost for each class.

        Raises:
            UserError: there are not.
        """
        super().check(space)
        for what, values in (("gains", self.gains), ("costs", self.costs)):
            if len(values) != space.num_classes:
                raise UserError(f"{what}: must be {space.num_classes} numbers, found {len(values)}")
        check_widths("shifts", self.shifts, space)


class ExpectedF1Settings(FittedSettings):
    """Plug-in rule for macro-F1 on calibrated posteriors: Narasimhan et al. 2015, https://arxiv.org/abs/1501.00287.

    What a decision adds to the F1 of a class, 2 hits / (given + predicted), is to first order proportional to
    (2 p(class | x) - F1) / (given + predicted). Deciding by that changes the counts, on which it depends; the fixed
    point is approached by Frank and Wolfe's steps, as there, and the best rule on the way is kept, since macro-F1 is
    not concave and the last need not be the best. Counts and hits are those that the posteriors promise: labels are
    used for temperatures alone, so there is little to over-fit; where the posteriors are wrong, so is the rule.
    """

    name: Literal["expected_f1"] = "expected_f1"

    def fit(self, known: LabelledOutputs, priors: Priors | None, seed: int) -> DecodeRule:
        """The gains and costs."""
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
    """(C, N) probabilities of the classes, columns sum to 1, 0 at cells that cannot occur."""
    scores = outputs.scores(temperatures, shifts)
    if scores.size:
        scores -= scores.max(axis=0)
    probs: FloatArray = np.exp(scores)
    return probs / probs.sum(axis=0)


def optimise(probs: FloatArray, space: LabelSpace) -> tuple[FloatArray, FloatArray]:
    """Gains and costs that make the most of the macro-F1 that (C, N) posteriors promise."""
    size, num = probs.shape
    possible = space.possible
    given = probs.sum(axis=1)

    def outcome(gains: FloatArray, costs: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        predicted = _decide(probs, gains, costs, space)
        hits = np.bincount(predicted, weights=probs[predicted, np.arange(num)], minlength=size)
        counts: FloatArray = np.bincount(predicted, minlength=size).astype(np.float64)
        return hits.astype(np.float64), counts, float(f1_scores(hits, given, counts)[possible].mean())

    best = np.ones(size), np.zeros(size)  # the most probable class
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
