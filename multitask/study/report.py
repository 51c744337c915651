"""A study as a report: plain data that the console, the page and anybody's own script can read."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from multitask.reporting.text import score_text
from multitask.runs.environment import environment
from multitask.study import trial_attrs
from multitask.study.importances import Importances, parameter_importances
from multitask.study.settings import Plan
from multitask.utils.files import plain

_STATES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def summarise_study(study: Study, plan: Plan, confirmation: dict[str, Any] | None) -> dict[str, Any]:
    """What ``report.json`` of a study holds; None where a figure is no number.

    Args:
        study: Optuna's.
        plan: the study file, made out.
        confirmation: what ``verdict`` said, if the study was confirmed.
    """
    settings = plan.settings
    every = study.get_trials(deepcopy=False)
    trials = trial_attrs.counted(every, settings.retries)
    rows = [_row(trial, plan) for trial in trials]
    counts = {state: sum(row["state"] == state for row in rows) for state in _STATES.values()}
    lost = sum(trial_attrs.is_lost(trial) for trial in every) - sum(trial_attrs.is_lost(trial) for trial in trials)
    one = len(settings.objective) == 1
    importances = Importances(None, "there are several objectives")
    if one:
        finished = [row for row in rows if row["state"] == "finished"]
        importances = parameter_importances(study, finished, settings.objective[0])
    report = {
        "study": settings.name,
        "created": min((trial.datetime_start for trial in every if trial.datetime_start), default=datetime.now())
        .astimezone()
        .isoformat(timespec="seconds"),
        "versions": environment()["versions"],
        "base": settings.base,
        "objectives": [
            {"metric": metric, "direction": direction}
            for metric, direction in zip(settings.objective, settings.directions, strict=True)
        ],
        "sampler": settings.sampler.name,
        "pruner": settings.chosen_pruner.name,
        "seed": settings.seed,
        "tasks": list(plan.base.space().task_names),
        "params": [_param(name, drawn) for name, drawn in plan.space.distributions().items()],
        "outside": plan.space.base_params()[1],
        "counts": {**counts, "retried": lost},
        "seconds": math.fsum(row["seconds"] or 0.0 for row in rows),
        "epochs": sum(len(row["history"]) for row in rows),
        "epochs_full": sum(row["num_epochs"] if row["state"] == "pruned" else len(row["history"]) for row in rows),
        "best": study.best_trial.number if one and counts["finished"] else None,
        "front": [] if one else [trial.number for trial in study.best_trials],
        "trials": rows,
        "importances": importances.shares,
        "importances_missing": importances.missing,
        "importances_about": importances.about,
        "confirmation": confirmation,
    }
    report["sentences"] = _sentences(report)
    found: dict[str, Any] = plain(report)
    return found


def _row(trial: FrozenTrial, plan: Plan) -> dict[str, Any]:
    attributes = trial.user_attrs
    changes = attributes.get(trial_attrs.CHANGES, {})
    weights = {head: changes.get(f"heads.{head}.weight") for head in plan.base.heads}
    if attributes.get(trial_attrs.ORIGIN) == "base" and plan.space.has_weights:
        weights = {head: settings.weight for head, settings in plan.base.heads.items()}
    origin = attributes.get(trial_attrs.ORIGIN, "sampled")
    if trial_attrs.RETRY_OF in attributes:
        origin = "base" if origin == "base" else f"retry of {attributes[trial_attrs.RETRY_OF]}"
    return {
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


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone().isoformat(timespec="seconds")


def _param(name: str, drawn: Any) -> dict[str, Any]:
    if isinstance(drawn, CategoricalDistribution):
        return {
            "name": name, "kind": "categorical", "low": None, "high": None, "log": False, "step": None,
            "choices": list(drawn.choices),
        }  # fmt: skip
    assert isinstance(drawn, FloatDistribution | IntDistribution)
    kind = "float" if isinstance(drawn, FloatDistribution) else "int"
    return {
        "name": name, "kind": kind, "low": drawn.low, "high": drawn.high, "log": drawn.log, "step": drawn.step,
        "choices": None,
    }  # fmt: skip


def _sentences(report: dict[str, Any]) -> list[str]:
    """The study in a few plain sentences."""
    counts = report["counts"]
    ended = counts["finished"] + counts["pruned"] + counts["failed"]
    if not counts["finished"]:
        return [f"No trial has a score yet: {ended} ended, {counts['failed']} of them in an error."]
    rows = {row["number"]: row for row in report["trials"]}
    base = next((row for row in rows.values() if row["origin"] == "base" and row["values"]), None)
    sentences = []
    if report["best"] is not None:
        metric, best = report["objectives"][0]["metric"], rows[report["best"]]
        text = f"Trial {best['number']} is the best of {counts['finished']} finished: "
        text += f"{metric} {score_text(best['values'][0])}"
        if base is not None and base is not best:
            text += f"; the base has {score_text(base['values'][0])}"
        elif base is best:
            text += ", and it is the base"
        sentences.append(text + ".")
    else:
        sentences.append(
            f"{len(report['front'])} of {counts['finished']} finished trials are beaten by no other in all of "
            f"{', '.join(objective['metric'] for objective in report['objectives'])}."
        )
    saved = 1 - report["epochs"] / report["epochs_full"] if report["epochs_full"] else 0.0
    if counts["pruned"]:
        stopped = "1 trial was" if counts["pruned"] == 1 else f"{counts['pruned']} trials were"
        sentences.append(f"{stopped} stopped early, which saved {100 * saved:.0f}% of the epochs.")
    if report["confirmation"] is not None:
        sentences += [report["confirmation"]["sentence"], report["confirmation"]["luck_sentence"]]
    else:
        sentences.append(
            "The best score is partly luck, since many trials were judged on the same people; --confirm tells how much."
        )
    return sentences
