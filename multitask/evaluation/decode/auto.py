"""The choice of a decode rule by cross-fitted scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from multitask.errors import UserError
from multitask.evaluation.decode.base import DECODE_RULES, DecodeRule, DecodeSettings, macro_f1
from multitask.evaluation.decode.crossfit import cross_fit_each, deal, influences, num_folds
from multitask.evaluation.decode.outputs import LabelledOutputs, Priors
from multitask.evaluation.decode.temperature import FittedSettings
from multitask.evaluation.metrics import IntArray
from multitask.labels import LabelSpace
from multitask.settings import validate

MOST_CLASSES = 100
"""With more classes the fitted rules are not compared: that would take longer than many trainings."""


def candidates(space: LabelSpace) -> tuple[DecodeSettings, ...]:
    """The rules to choose among, the simplest first: by how many parameters are fitted to labels.

    These are the rows of the table that say how many (``DecodeSettings.num_parameters``), an own one too.

    >>> from multitask.labels import Task
    >>> [rule.name for rule in candidates(LabelSpace([Task("colour", ("red", "blue"))]))]
    ['independent', 'joint', 'expected_f1', 'prior_correction', 'head_bias']

    Raises:
        UserError: a row cannot be made of its name alone.
    """
    found: list[tuple[int, DecodeSettings]] = []
    for name, row in DECODE_RULES.items():
        try:
            rule = validate(row, {"name": name})
        except UserError as error:
            if row.num_parameters is DecodeSettings.num_parameters:  # it is not compared
                continue
            raise UserError(
                f"decode rule {name!r}: auto compares it with the settings that it has by default: {error}"
            ) from None
        number = rule.num_parameters(space)
        too_many = bool(number) and space.num_classes > MOST_CLASSES
        if number is not None and not too_many and rule.problem(space.num_classes) is None:
            found.append((number, rule))
    return tuple(rule for _, rule in sorted(found, key=lambda pair: pair[0]))


@dataclass(frozen=True)
class Pick:
    """The rule that was chosen, and by what margin.

    Attributes:
        name: of the chosen rule.
        best: the rule of the highest score.
        gap: the score of the best less that of the chosen.
        error: the standard error of the gap, over groups.

    >>> choice = Pick(name="joint", best="head_bias", gap=0.01, error=0.02)
    >>> choice.gap <= choice.error
    True
    """

    name: str
    best: str
    gap: float
    error: float


def pick(predicted: Mapping[str, IntArray], classes: IntArray, groups: IntArray, space: LabelSpace) -> Pick:
    """The simplest rule that the best one does not beat by more than a standard error.

    Among half a dozen rules the one with the best score owes some of that to luck, the more so the more parameters the
    rules have. The error is s sqrt(sum_g (u_g - v_g) ** 2), with u (G,) the influence of each group on the score of the
    best rule, v (G,) that on the score of the rule compared (``influences``), and s the share of the classes that can
    occur which do: the error of the paired difference, which is far smaller than that of either score.

    Args:
        predicted: per rule, the simplest first, (N,) cross-fitted classes.
        classes: (N,) given.
        groups: (N,) numbers from 0.
        space: their label space.

    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> classes = np.array([0, 0, 1, 1] * 5)
    >>> predicted = {"joint": np.zeros(20, dtype=np.int64), "head_bias": classes}
    >>> pick(predicted, classes, np.arange(20), space).name
    'head_bias'
    """
    scores = {name: macro_f1(classes, found, space.possible) for name, found in predicted.items()}
    best = max(scores, key=lambda name: scores[name])
    moved = {name: influences(classes, found, groups, space.num_classes) for name, found in predicted.items()}
    # Macro-F1 counts a declared class that is absent as 0, so its errors shrink with the share of those present.
    share = len(np.unique(classes)) / space.possible.sum()
    for name in predicted:
        gap = scores[best] - scores[name]
        error = share * float(np.sqrt(np.sum((moved[best] - moved[name]) ** 2)))
        if gap <= error + 1e-12:
            return Pick(name, best, gap, error)
    raise AssertionError("the best rule is no worse than itself")


class AutoSettings(FittedSettings):
    """The simplest of the other rules that the best does not beat by more than a standard error, cross-fitted.

    A rule of one's own is among them where its settings say how many parameters it has, ``num_parameters``.

    >>> from multitask.evaluation.decode.outputs import ModelOutputs
    >>> from multitask.labels import Task
    >>> red = np.array([0.9, 0.8, 0.6, 0.55] * 10)
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log([red, 1 - red]).T})
    >>> known = LabelledOutputs(outputs, np.array([[0], [0], [1], [1]] * 10), np.arange(40).astype(object))
    >>> AutoSettings().fit(known, priors=None, seed=0).name
    'expected_f1'
    """

    name: Literal["auto"] = "auto"

    def fit(self, known: LabelledOutputs, priors: Priors | None, seed: int) -> DecodeRule:
        """The chosen rule, fitted on all of ``known``; ``Joint`` where the groups are too few to compare."""
        if num_folds(known) < 2:
            return self.unfitted()
        folds = deal(known, seed)
        rules = {rule.name: rule for rule in candidates(known.space)}
        predicted = cross_fit_each(rules, known, priors, folds, seed)
        rows = np.flatnonzero(known.classes >= 0)
        groups = np.unique(known.groups[rows].astype(str), return_inverse=True)[1].astype(np.int64)
        choice = pick(
            {name: found[rows] for name, found in predicted.items()}, known.classes[rows], groups, known.space
        )
        return rules[choice.name].fit(known, priors, seed)
