"""The rule that picks a rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from multitask.evaluation.decode.base import DecodeRule, DecodeSettings, LabelledOutputs, Priors, macro_f1
from multitask.evaluation.decode.bias import ClassBiasSettings, HeadBiasSettings
from multitask.evaluation.decode.crossfit import cross_fit, deal, influences, num_folds
from multitask.evaluation.decode.expected import ExpectedF1Settings
from multitask.evaluation.decode.plain import IndependentSettings, JointSettings
from multitask.evaluation.decode.prior import PriorCorrectionSettings
from multitask.evaluation.decode.temperature import FittedSettings
from multitask.evaluation.metrics import IntArray
from multitask.labels import LabelSpace

MOST_CLASSES = 100
"""Beyond this the fitted rules are not compared: it would take longer than some trainings."""


def candidates(space: LabelSpace) -> tuple[DecodeSettings, ...]:
    """What there is to pick from, the simplest first: by how much of a rule is fitted to labels.

    That is nothing, nothing, temperatures, a strength more, a bias for each label, a bias for each class.
    """
    plain = (IndependentSettings(), JointSettings())
    if space.num_classes > MOST_CLASSES:
        return plain
    fitted = (ExpectedF1Settings(), PriorCorrectionSettings(), HeadBiasSettings())
    # Where one head learns the classes whole, its biases are the classes'.
    return (*plain, *fitted) if space.num_tasks == 1 else (*plain, *fitted, ClassBiasSettings())


@dataclass(frozen=True)
class Pick:
    """Which rule was picked, and why.

    Attributes:
        name: the picked rule's.
        best: the rule of the highest score.
        gap: by how much the best is ahead of the picked.
        error: the standard error of that, over groups.
    """

    name: str
    best: str
    gap: float
    error: float


def pick(answers: Mapping[str, IntArray], classes: IntArray, groups: IntArray, space: LabelSpace) -> Pick:
    """The simplest rule that the best one does not beat by more than a standard error.

    Among half a dozen rules the one with the best score owes some of that to luck, the more so the freer the rules.
    The error is that of the paired difference over groups, which is far smaller than that of either score.

    Args:
        answers: per rule, the simplest first, (N,) cross-fitted classes.
        classes: (N,) given.
        groups: (N,) numbers from 0.
        space: their label space.
    """
    scores = {name: macro_f1(classes, predicted, space.possible) for name, predicted in answers.items()}
    best = max(scores, key=lambda name: scores[name])
    moved = {name: influences(classes, predicted, groups, space.num_classes) for name, predicted in answers.items()}
    # Macro-F1 counts a declared class that is absent as 0, so its errors shrink with the share of those present.
    share = len(np.unique(classes)) / space.possible.sum()
    for name in answers:
        gap = scores[best] - scores[name]
        error = share * float(np.sqrt(np.sum((moved[best] - moved[name]) ** 2)))
        if gap <= error + 1e-12:
            return Pick(name, best, gap, error)
    raise AssertionError("the best rule is no worse than itself")


class AutoSettings(FittedSettings):
    """Picks among the other rules by their cross-fitted scores; see ``pick``."""

    name: Literal["auto"] = "auto"

    def fit(self, known: LabelledOutputs, priors: Priors | None, seed: int) -> DecodeRule:
        """The picked rule, fitted on all; the most probable class where the groups are too few to compare."""
        if num_folds(known) < 2:
            return self.unfitted()
        folds = deal(known, seed)
        rules = {rule.name: rule for rule in candidates(known.space)}
        answers = {name: cross_fit(rule, known, priors, folds, seed) for name, rule in rules.items()}
        rows = np.flatnonzero(known.classes >= 0)
        groups = np.unique(known.groups[rows].astype(str), return_inverse=True)[1].astype(np.int64)
        picked = pick({name: found[rows] for name, found in answers.items()}, known.classes[rows], groups, known.space)
        return rules[picked.name].fit(known, priors, seed)
