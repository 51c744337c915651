"""The report of a study."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from multitask.reporting.study.report_schema import (
    Aim,
    ConfirmationReport,
    Param,
    State,
    StudyReport,
    Trial,
    TrialCounts,
)
from multitask.reporting.text import score_text
from multitask.runs.environment import environment
from multitask.study import trial_attrs
from multitask.study.importances import Importances, parameter_importances
from multitask.study.settings import Plan
from multitask.utils.files import to_json
from multitask.utils.records import parse_record
from multitask.utils.spelling import plural

_STATES: Final[dict[TrialState, State]] = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def summarise_study(
    study: Study, plan: Plan, confirmation: ConfirmationReport | None, where: str = "the storage"
) -> StudyReport:
    """The report of a study as it stands.

    Args:
        study: Optuna's.
        plan: the study file, made out.
        confirmation: what ``verdict`` said, if the study was confirmed.
        where: the trials are kept, for errors.

    Raises:
        UserError: what is kept of a trial is damaged.
    """
    settings = plan.settings
    every = study.get_trials(deepcopy=False)
    counted = trial_attrs.counted(every, settings.retries)
    trials = tuple(_trial(trial, plan, where) for trial in counted)
    states = Counter(trial.state for trial in trials)
    lost = sum(map(trial_attrs.is_lost, every)) - sum(map(trial_attrs.is_lost, counted))
    one = len(settings.objective) == 1
    importances = Importances(None, "there are several objectives")
    if one:
        finished = [trial for trial in trials if trial.state == "finished"]
        importances = parameter_importances(study, finished, settings.objective[0])
    report = StudyReport(
        study=settings.name,
        created=min((trial.datetime_start for trial in every if trial.datetime_start), default=datetime.now())
        .astimezone()
        .isoformat(timespec="seconds"),
        versions={**(environment().versions or {})},
        base=settings.base,
        objectives=tuple(
            Aim(metric, direction) for metric, direction in zip(settings.objective, settings.directions, strict=True)
        ),
        sampler=settings.sampler.name,
        pruner=settings.chosen_pruner.name,
        seed=settings.seed,
        tasks=plan.base.space().task_names,
        params=tuple(_param(name, drawn) for name, drawn in plan.space.distributions().items()),
        outside=tuple(plan.space.base_params()[1]),
        counts=TrialCounts(**{state: states[state] for state in _STATES.values()}, retried=lost),
        seconds=math.fsum(trial.seconds or 0.0 for trial in trials),
        epochs=sum(len(trial.history) for trial in trials),
        epochs_full=sum(trial.num_epochs if trial.state == "pruned" else len(trial.history) for trial in trials),
        best=study.best_trial.number if one and states["finished"] else None,
        front=() if one else tuple(trial.number for trial in study.best_trials),
        trials=trials,
        importances=importances.shares,
        importances_missing=importances.missing,
        importances_about=importances.about,
        confirmation=confirmation,
        sentences=(),
    )
    return replace(report, sentences=tuple(_sentences(report)))


def _trial(trial: FrozenTrial, plan: Plan, where: str) -> Trial:
    """A trial of Optuna's as the report has it; what its attributes hold is checked as a file's content is."""
    attributes = trial.user_attrs
    changes = attributes.get(trial_attrs.CHANGES, {})
    weights = {head: changes.get(f"heads.{head}.weight") for head in plan.base.heads}
    if attributes.get(trial_attrs.ORIGIN) == "base" and plan.space.has_weights:
        weights = {head: settings.weight for head, settings in plan.base.heads.items()}
    origin = attributes.get(trial_attrs.ORIGIN, "sampled")
    if trial_attrs.RETRY_OF in attributes:
        origin = "base" if origin == "base" else f"retry of {attributes[trial_attrs.RETRY_OF]}"
    kept = {
        "number": trial.number,
        "origin": origin,
        "state": _STATES[trial.state],
        "values": trial.values if trial.state == TrialState.COMPLETE else None,
        "best_score": attributes.get(trial_attrs.BEST_SCORE),
        "params": trial.params,
        "changes": changes,
        "weights": weights if all(weight is not None for weight in weights.values()) else None,
        "scores": attributes.get(trial_attrs.SCORES),
        "history": attributes.get(trial_attrs.HISTORY, []),
        "num_epochs": changes.get("training.epochs", plan.base.training.epochs),
        "seconds": attributes.get(trial_attrs.SECONDS),
        "started": _moment(trial.datetime_start),
        "finished": _moment(trial.datetime_complete),
        "failure": attributes.get(trial_attrs.FAILURE) if trial.state == TrialState.FAIL else None,
        "note": attributes.get(trial_attrs.NOTE) if trial.state == TrialState.PRUNED else None,
    }
    return parse_record(to_json(kept), Trial, Path(f"{where}, trial {trial.number}"))


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone().isoformat(timespec="seconds")


def _param(name: str, drawn: BaseDistribution) -> Param:
    if isinstance(drawn, CategoricalDistribution):
        return Param(name, "categorical", None, None, False, None, tuple(drawn.choices))
    assert isinstance(drawn, FloatDistribution | IntDistribution)
    kind: Literal["float", "int"] = "float" if isinstance(drawn, FloatDistribution) else "int"
    return Param(name, kind, drawn.low, drawn.high, drawn.log, drawn.step, None)


def _sentences(report: StudyReport) -> list[str]:
    """The study in a few plain sentences."""
    counts = report.counts
    ended = counts.finished + counts.pruned + counts.failed
    if not counts.finished:
        return [f"No trial has a score yet: {ended} ended, {counts.failed} of them in an error."]
    rows = {row.number: row for row in report.trials}
    base = next((row for row in rows.values() if row.origin == "base" and row.values), None)
    sentences = []
    if report.best is not None:
        metric, best = report.objectives[0].metric, rows[report.best]
        text = f"Trial {best.number} is the best of {counts.finished} finished: {metric} {_first(best)}"
        if base is not None and base is not best:
            text += f"; the base has {_first(base)}"
        elif base is best:
            text += ", and it is the base"
        sentences.append(text + ".")
    else:
        are = "is" if len(report.front) == 1 else "are"
        sentences.append(
            f"{len(report.front)} of {plural(counts.finished, 'finished trial', 'finished trials')} {are} beaten by "
            "no other in all of "
            f"{', '.join(objective.metric for objective in report.objectives)}."
        )
    saved = 1 - report.epochs / report.epochs_full if report.epochs_full else 0.0
    if counts.pruned:
        stopped = plural(counts.pruned, "trial was", "trials were")
        sentences.append(f"{stopped} stopped early, which saved {100 * saved:.0f}% of the epochs.")
    if report.confirmation is not None:
        sentences += [report.confirmation.sentence, report.confirmation.luck_sentence]
    else:
        sentences.append(
            "The best score is partly luck, since many trials were judged on the same groups; --confirm tells how much."
        )
    return sentences


def _first(trial: Trial) -> str:
    """Its score in the first objective."""
    return score_text(trial.values[0] if trial.values else None)
