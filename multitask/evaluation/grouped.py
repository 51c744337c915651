"""Answers to groups: which pooling, and the decode rule that is fitted after it.

What scores is cross-fitted: the pooling and the rule that answer a group were fitted on others. Which of three poolings
it is was decided by those scores, with a preference for the first of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from multitask.evaluation.calibration import Calibration
from multitask.evaluation.decode import (
    POOLING_RULES,
    DecodeRule,
    DecodeSettings,
    LabelledOutputs,
    MeanPooling,
    ModelOutputs,
    PoolingRule,
    Priors,
)
from multitask.evaluation.decode.auto import MOST_CLASSES, Pick, pick
from multitask.evaluation.decode.crossfit import cross_fit_posteriors, deal_known, num_folds
from multitask.evaluation.decode.fitted_rules import GroupedRules
from multitask.evaluation.decode.group_tasks import GroupTasks
from multitask.evaluation.decode.pooling import pool_labelled
from multitask.evaluation.decode.temperature import fit_temperatures
from multitask.evaluation.decode_comparison import fitted_shifts
from multitask.evaluation.grouped_schema import UNCOMPARED
from multitask.evaluation.metrics import IntArray
from multitask.evaluation.predictions import Predictions
from multitask.labels import JOINT, LabelSpace


@dataclass(frozen=True, eq=False)
class GroupedAnswers:
    """The answers to N images as members of their groups.

    Attributes:
        predictions: the pooled outputs, and the classes that were decided of them.
        kept: the pooling and the rule, fitted on all groups.
        cross_fitted: whether those that answered a group were fitted on others.
    """

    predictions: Predictions
    kept: GroupedRules
    cross_fitted: bool = False


def decide_grouped(predictions: Predictions, kept: GroupedRules) -> GroupedAnswers:
    """Answers groups by a pooling and a rule that were fitted before."""
    pooled = pool_labelled(kept.pooling, predictions.known(), GroupTasks(predictions.space, kept.tasks)).outputs
    return GroupedAnswers(_answered(predictions, pooled, kept.rule().decode(pooled)), kept)


def decide_grouped_and_fit(
    predictions: Predictions, names: tuple[str, ...], decode: DecodeSettings, priors: Priors | None, seed: int
) -> GroupedAnswers:
    """Picks and fits a pooling, and after it the decode rule, on groups that the network was not trained on.

    Args:
        predictions: N answers, of validation or out of fold.
        names: the tasks per group, at least one.
        decode: the rule that is used.
        priors: those in the network's outputs.
        seed: of the folds and fits.
    """
    known = predictions.known()
    fitter = _Fitter(GroupTasks(predictions.space, names), decode, priors, seed)
    row: type[PoolingRule] = MeanPooling
    why = UNCOMPARED
    folds = deal_known(known, seed)
    if folds is None:
        return decide_grouped(predictions, fitter.fit(row, known, why))
    whole = num_folds(known) > 1
    compared = whole and predictions.space.num_classes <= MOST_CLASSES
    rows = {name: row for name, row in POOLING_RULES.items() if compared or row is MeanPooling}
    found = {name: fitter.cross_fit(row, known, folds) for name, row in rows.items()}
    if whole:
        picked = _pick(found, known)
        row, why, pooled = rows[picked.name], _why(picked, tuple(rows)), found[picked.name]
    else:
        (pooled,) = found.values()
    answers = _answered(predictions, pooled.outputs(known.space), pooled.predicted)
    calibration = Calibration.of(
        predictions.space,
        cross_fit_posteriors(answers.known(), priors, folds),
        predictions.labels,
        pooled.predicted,
        predictions.group_indices(),
    )
    kept = fitter.fit(row, known, why)
    return GroupedAnswers(answers, kept.model_copy(update={"calibration": calibration}), cross_fitted=True)


def calibrate_groups(
    predictions: Predictions,
    answered: Predictions,
    kept: GroupedRules,
    decode: DecodeSettings,
    priors: Priors | None,
    seed: int,
) -> Calibration:
    """The calibration of other answers to the same groups, by what is fitted on these.

    Args:
        predictions: as of ``decide_grouped_and_fit``, which made ``kept`` of them.
        answered: of the same images, in the same order.
        kept: how groups are answered.
        decode: as of ``decide_grouped_and_fit``; likewise what follows.
        priors: those in the network's outputs.
        seed: of the folds and fits.
    """
    known = predictions.known()
    fitter = _Fitter(GroupTasks(predictions.space, kept.tasks), decode, priors, seed)
    folds = deal_known(known, seed)
    assert folds is not None, "the run has a calibration"
    fitted = fitter.cross_fit(type(kept.pooling), known, folds)
    found = fitter.cross_fit(type(kept.pooling), known, folds, answered.known())
    pooled = _answered(predictions, fitted.outputs(known.space), fitted.predicted).known()
    probs = cross_fit_posteriors(pooled, priors, folds, found.outputs(known.space))
    groups = predictions.group_indices()
    return Calibration.of(predictions.space, probs, predictions.labels, found.predicted, groups)


@dataclass(frozen=True, eq=False)
class _CrossFitted:
    """The pooled tables of outputs of N images, and the classes that were decided of them."""

    tables: dict[str, NDArray[np.float64]]
    predicted: IntArray

    @classmethod
    def empty_like(cls, outputs: ModelOutputs) -> _CrossFitted:
        tables = {name: np.empty_like(values) for name, values in outputs.tables().items()}
        return cls(tables, np.empty(len(outputs), dtype=np.int64))

    def outputs(self, learned: LabelSpace) -> ModelOutputs:
        heads = {name: values for name, values in self.tables.items() if name != JOINT}
        return ModelOutputs(learned, heads, self.tables.get(JOINT))


@dataclass(frozen=True, eq=False)
class _Fitter:
    """Fits a pooling, and a decode rule after it."""

    tasks: GroupTasks
    decode: DecodeSettings
    priors: Priors | None
    seed: int

    def fit(self, row: type[PoolingRule], known: LabelledOutputs, sentence: str) -> GroupedRules:
        """Fitted on all of ``known``."""
        pooling = row.fit(known, self.tasks)
        pooled = pool_labelled(pooling, known, self.tasks)
        rule = self._rule(pooled, known)
        used = self.decode.name if self._fits(known) else rule.name
        return GroupedRules(
            used=used,
            rules={used: rule},
            temperatures=fit_temperatures(pooled, self.priors),
            shifts=fitted_shifts(pooled, self.priors),
            tasks=self.tasks.names,
            pooling=pooling,
            sentence=sentence,
        )

    def _fits(self, known: LabelledOutputs) -> bool:
        """Whether the decode rule can be fitted on groups of these."""
        return not self.decode.needs_validation or num_folds(known) > 1

    def _rule(self, pooled: LabelledOutputs, known: LabelledOutputs) -> DecodeRule:
        return self.decode.fit(pooled, self.priors, self.seed) if self._fits(known) else self.decode.unfitted()

    def cross_fit(
        self, row: type[PoolingRule], known: LabelledOutputs, folds: IntArray, answered: LabelledOutputs | None = None
    ) -> _CrossFitted:
        """Each fold of ``answered``, which is ``known`` by default, pooled and decided by what others of that fit."""
        found = _CrossFitted.empty_like(known.outputs)
        for fold in np.unique(folds):
            inside = np.flatnonzero(folds == fold)
            others, held_out = known.take(np.flatnonzero(folds != fold)), (answered or known).take(inside)
            pooling = row.fit(others, self.tasks)
            rule = self._rule(pool_labelled(pooling, others, self.tasks), known)
            pooled = pool_labelled(pooling, held_out, self.tasks).outputs
            for name, values in pooled.tables().items():
                found.tables[name][inside] = values
            found.predicted[inside] = rule.decode(pooled)
        return found


def _answered(predictions: Predictions, pooled: ModelOutputs, predicted: IntArray) -> Predictions:
    """The predictions with other outputs and classes."""
    joint = None if pooled.joint is None else torch.from_numpy(pooled.joint)
    log_probs = {name: torch.from_numpy(values) for name, values in pooled.heads.items()}
    return replace(predictions, log_probs=log_probs, joint=joint, predicted=predicted)


def _pick(found: Mapping[str, _CrossFitted], known: LabelledOutputs) -> Pick:
    rows = np.flatnonzero(known.classes >= 0)
    groups = np.unique(known.groups[rows].astype(str), return_inverse=True)[1].astype(np.int64)
    predicted = {name: one.predicted[rows] for name, one in found.items()}
    return pick(predicted, known.classes[rows], groups, known.space)


def _why(picked: Pick, names: tuple[str, ...]) -> str:
    """Why a pooling was picked, in a sentence."""
    if len(names) == 1:
        return f"{picked.name}, which has no parameter; with so many classes it is compared with no other"
    if picked.name == picked.best:
        return f"{picked.name} has the best cross-fitted macro-F1 of {', '.join(names)}"
    return (
        f"{picked.name} is the first of {', '.join(names)} within a standard error of the best, {picked.best}, which "
        f"is {picked.gap:.3f} ahead in cross-fitted macro-F1 (standard error over groups {picked.error:.3f})"
    )
