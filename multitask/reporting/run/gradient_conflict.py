"""The conflict of two losses' gradients, in words that the sampled steps bear out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from multitask.progress import ConflictSteps, EpochRecord, TrainingScores
from multitask.reporting.text import score_text
from multitask.utils.spelling import plural

SLIGHT = 0.05
"""Gradients whose mean cosine is nearer to 0 than this are as good as orthogonal, however sure the mean is."""
FEWEST_STEPS = 4
"""Of fewer steps no interval is given."""
LEVEL = 0.95

Pair = tuple[str, str]


@dataclass(frozen=True)
class PairCosine:
    """The cosine of two losses' gradients over a run.

    Attributes:
        mean: over the epochs.
        margin: half of its interval's width; None where there are too few steps for one.
        num_steps: that were looked at.
    """

    mean: float
    margin: float | None
    num_steps: int

    @property
    def opposed(self) -> bool:
        """Whether the gradients oppose each other beyond noise, and by more than a trifle."""
        return self.margin is not None and self.mean + self.margin < 0 and self.mean <= -SLIGHT


def pair_cosines(history: Sequence[EpochRecord]) -> dict[Pair, PairCosine]:
    """Each pair's cosine over a run, with an interval that holds for all pairs at once (Bonferroni).

    The error of the mean comes from the spread of the steps within each epoch, since the cosine itself drifts as
    training goes on. Of a run from before that was recorded it comes from the spread of the epochs' means.

    Args:
        history: the rows of RUN/metrics.jsonl.
    """
    found: dict[Pair, list[tuple[float, int, float | None]]] = {}
    for row in history:
        train = row.train or TrainingScores()
        steps = train.conflict_steps or {}
        for one, others in (train.conflict or {}).items():
            for other, cosine in others.items():
                if cosine is not None and math.isfinite(cosine):
                    step = steps.get(one, {}).get(other) or ConflictSteps(num=0, sd=None)
                    found.setdefault((one, other), []).append((cosine, step.num, step.sd))
    return {pair: _over_epochs(rows, len(found)) for pair, rows in found.items()}


def _over_epochs(rows: Sequence[tuple[float, int, float | None]], num_pairs: int) -> PairCosine:
    means = np.array([mean for mean, *_ in rows])
    spread = [(num, sd) for _, num, sd in rows if sd is not None]
    if not any(num for _, num, _ in rows):  # a run from before
        num_steps = freedom = len(rows)
        freedom -= 1
        error = float(means.std(ddof=1)) / math.sqrt(len(rows)) if freedom else math.nan
    else:
        num_steps = sum(num for _, num, _ in rows)
        freedom = sum(num - 1 for num, _ in spread)
        # An epoch of a single step has no spread of its own: it is taken to have that of the others.
        pooled = sum((num - 1) * sd**2 for num, sd in spread) / freedom if freedom else math.nan
        error = math.sqrt(pooled * sum(1 / num for _, num, _ in rows)) / len(rows)
    enough = num_steps >= FEWEST_STEPS and freedom >= FEWEST_STEPS - 1
    margin = _student(1 - (1 - LEVEL) / num_pairs, freedom) * error if enough else None
    return PairCosine(float(means.mean()), margin, num_steps)


def _student(level: float, freedom: int) -> float:
    """The two-sided quantile of Student's t, by its expansion around the normal's (Abramowitz and Stegun, 26.7.5)."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2


def conflict_sentence(history: Sequence[EpochRecord]) -> str | None:
    """A sentence on the two losses whose gradients agree least; None where no batch was measured."""
    cosines = pair_cosines(history)
    if not cosines:
        return None
    opposed = [pair for pair, cosine in cosines.items() if cosine.opposed]
    pair = min(opposed or cosines, key=lambda pair: cosines[pair].mean)
    one, other = pair
    found = cosines[pair]
    where = f"({_figures(found, len(cosines))})"
    if opposed:
        others = f", and so do those of {plural(len(opposed) - 1, 'other pair', 'other pairs')}" if opposed[1:] else ""
        return (
            f"The gradients of {one} and {other} oppose each other {where}{others}: what a step does for one it partly "
            "takes from the other. A balancer that combines gradients or branches of their own may help; whether they "
            "do, only the scores tell."
        )
    if found.margin is None:
        return f"Too few steps were looked at to say whether gradients oppose each other; {one} and {other} {where}."
    which = "The gradients" if len(cosines) == 1 else "No two losses’ gradients"
    if len(cosines) == 1:
        return f"{which} of {one} and {other} do not oppose each other beyond noise {where}."
    return f"{which} oppose each other beyond noise; those of {one} and {other} agree least {where}."


def _figures(cosine: PairCosine, num_pairs: int) -> str:
    mean = f"mean cosine {_cosine(cosine.mean)}"
    steps = plural(cosine.num_steps, "step", "steps")
    if cosine.margin is None:
        return f"{mean} of {steps}"
    low, high = (max(-1.0, min(1.0, cosine.mean + side * cosine.margin)) for side in (-1, 1))
    pairs = "" if num_pairs == 1 else f", for all {num_pairs} pairs at once"
    return f"{mean}, 95% {_cosine(low)} to {_cosine(high)}{pairs}, from {steps}"


def _cosine(value: float) -> str:
    return score_text(value, 2)
