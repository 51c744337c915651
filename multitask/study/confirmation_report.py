"""The confirming runs: whether the winner beats the base beyond noise, and how much of its score was luck."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection
from dataclasses import replace

from multitask.evaluation.intervals import LEVEL, Difference
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.summary import summarise
from multitask.reporting.figures import IntervalGap, IntervalScore
from multitask.reporting.study.report_schema import ConfirmationReport, ConfirmedTrial
from multitask.reporting.text import score_text
from multitask.runs.comparison import paired_differences
from multitask.study.confirmation import Candidate, Confirmation, ConfirmingRun
from multitask.study.metrics import figure
from multitask.study.settings import Plan
from multitask.utils.spelling import plural


def verdict(confirmation: Confirmation) -> ConfirmationReport:
    """The ``confirmation`` of a study's report.

    Every group of the folds that were run was answered once for each candidate, by a network that did not train on it;
    these answers are pooled, and each candidate is compared with the base on the same resamples of the groups. The
    intervals hold for all comparisons together (Bonferroni).

    Raises:
        UserError: a run's files are gone or damaged.
    """
    plan = confirmation.plan
    metric = plan.settings.objective[0]
    sign = -1 if plan.settings.directions[0] == "minimize" else 1
    pooled, rows = [], []
    for candidate in confirmation.candidates:
        runs = [run for run in confirmation.runs if run.candidate is candidate]
        pooled.append(_pooled(runs))
        rows.append(_row(candidate, [figure(run.folder.read_report(), metric) for run in runs], pooled[-1], plan))
    level = 1 - (1 - LEVEL) / (len(rows) - 1)
    names = [f"trial {candidate.number}" for candidate in confirmation.candidates]
    found = paired_differences(names, pooled, plan.settings.seed, level)
    compared = compared_metric(plan, {difference.metric for difference in found})
    differences = [difference for difference in found if difference.metric == compared]
    base = rows[0]
    others = [replace(row, difference=_gap(one)) for row, one in zip(rows[1:], differences, strict=True)]

    def order(row: ConfirmedTrial) -> float:
        return -math.inf if row.confirmed is None else sign * row.confirmed

    winner = max(others, key=order)
    seeds = f"{confirmation.seeds} fresh seed{'s' if confirmation.seeds != 1 else ''}"
    return ConfirmationReport(
        metric=metric,
        compared=compared,
        num_seeds=confirmation.seeds,
        num_folds=confirmation.num_folds,
        num_groups=pooled[0].num_groups,
        num_images=len(pooled[0]),
        level=level,
        winner=winner.trial,
        chosen=winner.trial if order(winner) > order(base) else base.trial,
        sentence=_sentence(winner.trial, differences[others.index(winner)], level, seeds, pooled[0].num_groups),
        luck_sentence=_luck_sentence(winner, base, metric),
        rows=(base, *others),
    )


def _gap(found: Difference) -> IntervalGap:
    return IntervalGap(found.value, found.low, found.high, found.beyond_noise)


def compared_metric(plan: Plan, known: Collection[str]) -> str:
    """The score that is compared by resampling groups.

    The first objective, where that can be resampled; else the joint macro-F1, or, where no image has all labels, that
    of the objective's task.

    Args:
        plan: the study file, made out.
        known: the scores that the answers have.
    """
    objective = plan.settings.objective[0]
    of_task = ".".join((*objective.split(".")[:2], "macro_f1"))
    return next(metric for metric in (objective, "joint.macro_f1", of_task) if metric in known)


def _pooled(runs: list[ConfirmingRun]) -> Predictions:
    """The answers of a candidate's runs, each for the groups of its fold."""
    return Predictions.concatenate(
        [Predictions.from_csv(run.folder.predictions(), run.config.space(), run.config.learned_space()) for run in runs]
    )


def _row(candidate: Candidate, scores: list[float | None], pooled: Predictions, plan: Plan) -> ConfirmedTrial:
    known = [score for score in scores if score is not None]
    confirmed = statistics.fmean(known) if known else None
    summary = summarise(pooled, {}, plan.settings.seed)
    return ConfirmedTrial(
        trial=candidate.number,
        base=candidate.is_base,
        study_score=candidate.study_score,
        confirmed=confirmed,
        runs=tuple(scores),
        luck=None if confirmed is None or candidate.study_score is None else candidate.study_score - confirmed,
        pooled=summary.joint.macro_f1,
        pooled_ci=summary.joint.macro_f1_ci,
        tasks={task: IntervalScore(scored.macro_f1, scored.macro_f1_ci) for task, scored in summary.tasks.items()},
        difference=None,
    )


def _sentence(trial: int, found: Difference, level: float, seeds: str, num_groups: int) -> str:
    groups = plural(found.num_groups, "group", "groups")
    if found.num_groups < num_groups:  # of those that were answered for, the others lack the label
        groups = f"{groups} of {num_groups:,} whose labels are known"
    gap = (
        f"{found.metric} {_signed(found.value)}, {100 * level:.3g}% interval {_signed(found.low)} to "
        f"{_signed(found.high)}, over {seeds} and {groups}"
    )
    if not found.beyond_noise:
        return f"Trial {trial} does not beat the base beyond noise: {gap}."
    return f"Trial {trial} {'beats' if found.value > 0 else 'is worse than'} the base beyond noise: {gap}."


def _luck_sentence(winner: ConfirmedTrial, base: ConfirmedTrial, metric: str) -> str:
    """How much of the winner's study score did not come back, beside the same of the base, which nobody had picked."""
    if winner.luck is None:
        return f"How much of trial {winner.trial}'s score was luck is unknown: {metric} is no number in its runs."
    text = (
        f"Luck: trial {winner.trial} had {score_text(winner.study_score)} in the study and has "
        f"{score_text(winner.confirmed)} confirmed, a difference of {_signed(winner.luck)}"
    )
    if base.luck is None:
        return f"{text}."
    return (
        f"{text}; for the base, which nobody picked, it is {_signed(base.luck)} "
        f"({score_text(base.study_score)} and {score_text(base.confirmed)})."
    )


def _signed(value: float) -> str:
    return score_text(value) if value < 0 else f"+{score_text(value)}"
