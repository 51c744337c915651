"""Comparison of decode rules on the same groups: fitted, cross-fitted, scored, and one of them used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multitask.evaluation.calibration import Calibration
from multitask.evaluation.decode import DecodeSettings, LabelledOutputs, Priors
from multitask.evaluation.decode.auto import MOST_CLASSES, candidates, pick
from multitask.evaluation.decode.base import best_cell, macro_f1
from multitask.evaluation.decode.crossfit import cross_fit_each, cross_fit_posteriors, deal_known, num_folds
from multitask.evaluation.decode.expected import posteriors
from multitask.evaluation.decode.fitted_rules import FittedRules
from multitask.evaluation.decode.temperature import fit_temperatures
from multitask.evaluation.decode_scores import DecodeComparison, FittedOn, JointTermScores, RuleScores
from multitask.evaluation.intervals import excludes_zero, interval, resample
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.evaluation.predictions import Predictions
from multitask.utils.records import Interval


@dataclass(frozen=True, eq=False)
class Decided:
    """Answers by the rule that is used, and what a report says of all rules.

    Attributes:
        predicted: (N,) classes.
        class_probs: (N, C) calibrated probabilities, cross-fitted like the answers.
        folds: (N,) the fold of each image in the cross-fitting; None where there was none.
        kept: the rules, fitted on all groups.
        comparison: of all rules.
    """

    predicted: IntArray
    class_probs: FloatArray
    folds: IntArray | None
    kept: FittedRules
    comparison: DecodeComparison


def decide_and_fit(
    predictions: Predictions, decode: DecodeSettings, priors: Priors | None, seed: int, resample_seed: int
) -> Decided:
    """Fits every rule on groups that the network was not trained on, and scores it on the same groups, cross-fitted.

    The score of a group is by rules fitted on others; so is which rule ``auto`` picks. Only the parameters that are
    kept, for images still to come, are fitted on all.

    Args:
        predictions: N answers, of validation or out of fold.
        decode: the rule that is used.
        priors: those in the network's outputs.
        seed: of the folds and fits.
        resample_seed: of the intervals; that of the report's others, so that they are paired.
    """
    known = predictions.known()
    rules = {rule.name: rule for rule in candidates(known.space)} | {decode.name: decode}
    note = ""
    if known.space.num_classes > MOST_CLASSES:
        note = f"With more than {MOST_CLASSES} classes, rules that are fitted are not compared."
    count = num_folds(known)
    if count < 2:
        rules = {name: rule for name, rule in rules.items() if not rule.needs_validation}
        found = "no group has" if not count else "one has"
        note = f"Rules that are fitted need two groups whose classes are known, and {found}: none was fitted."
    fitted = {name: rule.fit(known, priors, seed) for name, rule in rules.items()}
    used = decode.name
    if used not in fitted:  # too few groups to fit it
        unfitted = decode.unfitted()
        used = unfitted.name
        fitted.setdefault(used, unfitted)
    folds = deal_known(known, seed)
    in_sample = {name: rule.decode(known.outputs) for name, rule in fitted.items()}
    fitted_ones = {name: rule for name, rule in rules.items() if rule.needs_validation}
    answers = dict(in_sample)
    if fitted_ones:
        assert folds is not None, "rules that are fitted were left out"
        answers |= cross_fit_each(fitted_ones, known, priors, folds, seed)
    picked, sentence = _picked(answers, known, used) if count > 1 else (None, "")
    temperatures, shifts = fit_temperatures(known, priors), fitted_shifts(known, priors)
    if folds is not None:
        probs = cross_fit_posteriors(known, priors, folds)
        calibration = Calibration.of(
            predictions.space, probs, predictions.labels, answers[used], predictions.group_indices()
        )
    else:
        probs, calibration = _calibrated(predictions, temperatures, shifts), None
    kept = FittedRules(
        used=used,
        rules=fitted,
        temperatures=temperatures,
        shifts=shifts,
        picked=picked,
        sentence=sentence,
        note=note,
        num_folds=0 if folds is None else len(np.unique(folds)),
        num_groups=predictions.num_groups,
        num_images=len(predictions),
        calibration=calibration,
    )
    own = {name: in_sample[name] for name in fitted_ones}
    comparison = _comparison(kept, predictions, answers, resample_seed, own)
    return Decided(answers[used], probs, folds, kept, comparison)


def fitted_shifts(known: LabelledOutputs, priors: Priors | None) -> dict[str, tuple[float, ...]]:
    """The shifts of the priors of all tables of outputs, as a run keeps them."""
    shifts = {} if priors is None else priors.shifts(tuple(known.outputs.tables()))
    return {name: tuple(map(float, values)) for name, values in shifts.items()}


def _calibrated(
    predictions: Predictions, temperatures: Mapping[str, float], shifts: Mapping[str, tuple[float, ...]]
) -> FloatArray:
    """(N, C) probabilities of the classes."""
    arrays = {name: np.array(values) for name, values in shifts.items()}
    return posteriors(predictions.outputs(), dict(temperatures), arrays).T


def decide(predictions: Predictions, kept: FittedRules, resample_seed: int) -> Decided:
    """Decodes images on which no rule was fitted, by rules fitted before, and scores every rule on them."""
    answers = {name: rule.decode(predictions.outputs()) for name, rule in kept.rules.items()}
    probs = _calibrated(predictions, kept.temperatures, kept.shifts)
    comparison = _comparison(kept, predictions, answers, resample_seed, None)
    return Decided(answers[kept.used], probs, None, kept, comparison)


def _picked(answers: Mapping[str, IntArray], known: LabelledOutputs, used: str) -> tuple[str, str]:
    """The rule that ``auto`` picks, and why, in a sentence."""
    rows = np.flatnonzero(known.classes >= 0)
    choice = {rule.name: answers[rule.name][rows] for rule in candidates(known.space)}
    groups = np.unique(known.groups[rows].astype(str), return_inverse=True)[1].astype(np.int64)
    found = pick(choice, known.classes[rows], groups, known.space)
    if found.name == found.best:
        why = f"{found.name} has the best cross-fitted score, and no simpler rule is within a standard error of it"
    else:
        why = (
            f"{found.name} is the simplest rule within a standard error of the best, {found.best}, which is "
            f"{found.gap:.3f} ahead (standard error over groups {found.error:.3f})"
        )
    if used not in ("auto", found.name):
        why += f"; used is {used}, which the config names"
    return found.name, why


def _comparison(
    kept: FittedRules,
    predictions: Predictions,
    answers: Mapping[str, IntArray],
    seed: int,
    in_sample: Mapping[str, IntArray] | None,
) -> DecodeComparison:
    scored = _Scored(predictions, seed)
    base = scored.of(answers["independent"])
    rows = []
    for name, predicted in answers.items():
        found = scored.compare(scored.of(predicted), base if name != "independent" else None)
        own = None if in_sample is None else in_sample.get(name)
        fits = kept.rules[name].name not in ("independent", "joint")  # of auto, which may have picked one of them
        rows.append(
            RuleScores(
                name=name,
                macro_f1=found.macro_f1,
                macro_f1_ci=found.macro_f1_ci,
                difference=found.difference,
                difference_ci=found.difference_ci,
                beyond_noise=found.beyond_noise,
                in_sample=scored.of(own).value if own is not None and fits else None,
            )
        )
    return DecodeComparison(
        used=kept.used,
        picked=kept.picked,
        sentence=kept.sentence,
        note=kept.note,
        cross_fitted=in_sample is not None and kept.num_folds > 0,
        num_folds=kept.num_folds,
        fitted_on=FittedOn(kept.num_groups, kept.num_images),
        temperatures=kept.temperatures,
        rules=tuple(rows),
    )


@dataclass(frozen=True, eq=False)
class _Score:
    value: float | None
    draws: FloatArray | None


@dataclass(frozen=True)
class _Compared:
    """A macro-F1 with its interval, and how it differs from another one on the same draws, with its interval."""

    macro_f1: float | None
    macro_f1_ci: Interval | None = None
    difference: float | None = None
    difference_ci: Interval | None = None
    beyond_noise: bool | None = None


class _Scored:
    """Scores predictions of the same images, over the same resamples of the groups."""

    def __init__(self, predictions: Predictions, seed: int) -> None:
        self._rows: NDArray[np.int64] = np.flatnonzero(predictions.classes >= 0)
        self._classes = predictions.classes[self._rows]
        self._groups = np.unique(predictions.group_indices()[self._rows], return_inverse=True)[1].astype(np.int64)
        self._possible = predictions.space.possible
        self._seed = seed

    def of(self, predicted: IntArray) -> _Score:
        """The joint macro-F1 of (N,) classes; none where no class is known."""
        if not len(self._rows):
            return _Score(None, None)
        chosen = predicted[self._rows]
        draws = resample(self._classes, chosen, self._groups, self._possible, self._seed).macro_f1
        return _Score(macro_f1(self._classes, chosen, self._possible), draws)

    def compare(self, score: _Score, base: _Score | None) -> _Compared:
        """A score beside another one, where there is one."""
        if score.value is None or score.draws is None:
            return _Compared(score.value)
        macro_f1_ci = interval(score.draws)
        if base is None or base.value is None or base.draws is None:
            return _Compared(score.value, macro_f1_ci)
        gap_ci = interval(score.draws - base.draws)
        gap = score.value - base.value
        return _Compared(score.value, macro_f1_ci, gap, gap_ci, excludes_zero(*gap_ci))


def joint_term(predictions: Predictions, seed: int) -> JointTermScores | None:
    """The gain of a learned joint term: the most probable class with it, against that by the heads alone.

    Args:
        predictions: N answers.
        seed: of the intervals.

    Returns:
        None where no joint term is learned.
    """
    outputs = predictions.outputs()
    if outputs.joint is None:
        return None
    scored = _Scored(predictions, seed)
    alone = scored.of(best_cell(outputs.without_joint().scores())[0])
    term = scored.of(best_cell(outputs.scores())[0])
    compared, only = scored.compare(term, alone), scored.compare(alone, None)
    return JointTermScores(
        heads_only=only.macro_f1,
        heads_only_ci=only.macro_f1_ci,
        with_term=compared.macro_f1,
        with_term_ci=compared.macro_f1_ci,
        difference=compared.difference,
        difference_ci=compared.difference_ci,
        beyond_noise=compared.beyond_noise,
        sentence=_need(compared),
    )


def _need(found: _Compared) -> str:
    """Whether the joint term is needed, in a sentence."""
    if found.difference is None or found.difference_ci is None:
        return "Whether the joint term is needed is unknown: no image's class is known."
    low, high = found.difference_ci
    gap = f"{found.difference:+.3f} joint macro-F1, 95% {low:+.3f} to {high:+.3f}"
    if not found.beyond_noise:
        return f"The joint term is not shown to be needed: beside the heads alone it makes {gap}."
    if found.difference > 0:
        return f"The joint term is needed: beside the heads alone it makes {gap}."
    return f"The joint term does harm: beside the heads alone it makes {gap}."
