"""The page of a study: what its report holds, put into the order and the words that the template prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from multitask.reporting.html import render
from multitask.reporting.study import plots, sections
from multitask.reporting.study.plots import Interval
from multitask.reporting.study.sections import trial_name
from multitask.reporting.study.text import time_text, value_text
from multitask.reporting.study.trials import StudyTrials, finite, key_breaks
from multitask.reporting.text import count_text, interval_text, moment_text, plural, score_text, shorten

_SIGNS = {"finished": "●", "pruned": "▽", "failed": "✕"}
_LONG_MESSAGE = 400  # letters of a failure that its row shows


def render_study(report: Mapping[str, Any]) -> str:
    """A study's report as a complete HTML page that needs no other file.

    Args:
        report: what STUDY/report.json holds; any metric in it can be None.

    Returns:
        The page. The same report gives the same characters.
    """
    study = StudyTrials(report)
    weights = sections.weights(study)
    titles = {
        "history": "History",
        "confirmation": "Confirmation",
        "learning": "Learning",
        "importances": "Importances",
        "slices": "One setting",
        "parallel": "All settings",
        **({"weights": "Head weights"} if weights else {}),
        **({"trade-off": "Trade-off"} if len(study.tasks) > 1 else {}),
        "trials": "Trials",
    }
    return render(
        "study.html",
        title=f"{report['study']} · study",
        report=report,
        created=moment_text(report["created"]),
        aim=_aim(report, study),
        cards=_cards(report, study),
        sections=titles,
        states={mark.state for mark, _ in study.scored},
        objective=study.objectives[0].name,
        several=len(study.objectives) > 1,
        history=sections.history(study),
        chosen=_chosen(study),
        confirmation=_confirmation(report["confirmation"], study),
        learning=sections.learning(study),
        importances=sections.importances(study, report),
        slices=sections.slices(study),
        parallel=sections.parallel(study),
        weights=weights,
        trade_offs=sections.trade_offs(study),
        table=_table(study),
    )


def _aim(report: Mapping[str, Any], study: StudyTrials) -> str:
    aims = (f"{'maximise' if objective.maximize else 'minimise'} {objective.name}" for objective in study.objectives)
    return f"{', '.join(aims)} · sampler {report['sampler']} · pruner {report['pruner']} · seed {report['seed']}"


def _cards(report: Mapping[str, Any], study: StudyTrials) -> list[tuple[str, str, str]]:
    """The headline figures: name, figure, and what stands under it; the first one leads."""
    several = len(study.objectives) > 1
    base = [None if study.base is None else study.score(study.base, place) for place in range(len(study.objectives))]
    cards = []
    for place, objective in enumerate(study.objectives):
        scored = [(study.score(number, place), number) for number in study.bests]
        known = [(score, number) for score, number in scored if score is not None]
        best = (max if objective.maximize else min)(known, key=lambda row: row[0], default=(None, None))
        under = "" if best[1] is None else f"trial {best[1]}" + (f"; base {score_text(base[place])}" if several else "")
        cards.append((f"Best {objective.name}", score_text(best[0]), under))
    if several:
        cards.append(("On the front", count_text(len(study.bests)), "trials that no other beats in all"))
    else:
        cards.append(("Base", score_text(base[0]), "" if study.base is None else f"trial {study.base}"))
    confirmation = report["confirmation"]
    if confirmation:
        confirmed = {row["trial"]: row["confirmed"] for row in confirmation["rows"]}
        under = "".join(f"base {score_text(row['confirmed'])}" for row in confirmation["rows"] if row["base"])
        cards.append(("Winner, confirmed", score_text(confirmed.get(confirmation["winner"])), under))
    counts = report["counts"]
    words = {"pruned": "pruned", "failed": "failed", "retried": "queued again", "running": "running"}
    words |= {"waiting": "waiting"}
    under = ", ".join(f"{counts[key]:,} {word}" for key, word in words.items() if counts[key] or key in _SIGNS)
    cards.append(("Trials finished", count_text(counts["finished"]), under))
    cards.append(("Time", time_text(report["seconds"]), "all trials together"))
    trained, full = report["epochs"], report["epochs_full"]
    saved = f"{1 - trained / full:.0%}" if full else "–"
    cards.append(("Epochs saved by pruning", saved, f"{trained:,} of {full:,} trained"))
    return cards


def _chosen(study: StudyTrials) -> dict[str, Any] | None:
    """The settings of the best trials beside the base's, a column each; None where there is neither."""
    numbers = list(dict.fromkeys(([] if study.base is None else [study.base]) + study.bests))
    if not numbers:
        return None
    names = [name for name in study.params if any(name in study.trials[number]["params"] for number in numbers)]
    columns = [
        {
            "name": trial_name(study.marks[number]),
            "scores": [score_text(study.score(number, place)) for place in range(len(study.objectives))],
            "values": [_setting(study.trials[number], name) for name in names],
        }
        for number in numbers
    ]
    return {
        "names": list(map(key_breaks, names)),
        "objectives": [objective.name for objective in study.objectives],
        "columns": columns,
    }


def _confirmation(found: Mapping[str, Any] | None, study: StudyTrials) -> dict[str, Any] | None:
    """The confirmed scores as a table and as two plots."""
    if found is None:
        return None
    level = f"{found['level']:.1%}".replace(".0%", "%")
    tasks = [task for task in study.tasks if any(task in row["tasks"] for row in found["rows"])]
    ticks = study.objectives[0].metric == "joint.macro_f1"  # else the runs' scores are of another kind
    rows, pooled, differences = [], [], []
    for row in found["rows"]:
        name = f"base (trial {row['trial']})" if row["base"] else f"trial {row['trial']}"
        winner, difference = row["trial"] == found["winner"], row["difference"] or {}
        low, high = row["pooled_ci"] or (None, None)
        runs = tuple(run for run in row["runs"] if run is not None) if ticks else ()
        pooled.append(Interval(name, row["pooled"], low, high, runs, strong=winner))
        bounds = (difference.get("low"), difference.get("high"))
        if difference:
            beyond = bool(difference["beyond_noise"])
            differences.append(Interval(name, difference["value"], *bounds, full=beyond, strong=winner))
        cells = [score_text(row["study_score"]), score_text(row["confirmed"]), score_text(row["luck"])]
        cells += [score_text(row["pooled"]), interval_text(row["pooled_ci"]) or "–"]
        cells += [score_text((row["tasks"].get(task) or {}).get("value")) for task in tasks]
        cells += [score_text(difference.get("value")), interval_text(bounds) or "–"]
        verdict = "–" if not difference else "yes" if difference["beyond_noise"] else "no"
        rows.append({"name": name, "winner": winner, "cells": [*cells, verdict]})
    seeds = plural(found["num_seeds"], "fresh seed", "fresh seeds")
    pictures = plural(found["num_images"], "picture", "pictures")
    people = plural(found["num_groups"], "group", "groups")
    words = (
        f"Each of these trials was run again with {seeds}, on as many of {found['num_folds']:,} folds that share "
        f"nobody: {pictures} of {people}, none of whom the network that judged them had learned from."
    )
    return {
        "found": found,
        "level": level,
        "ticks": ticks,
        "words": words,
        "tasks": tasks,
        "rows": rows,
        "pooled": _intervals(pooled, "pooled joint macro-F1", "pooled", zero=False),
        "differences": _intervals(differences, "difference to the base", "differences", zero=True),
    }


def _intervals(rows: Sequence[Interval], xlabel: str, key: str, zero: bool) -> Markup | None:
    if all(row.value is None for row in rows):
        return None
    words = "; ".join(f"{row.name} {score_text(row.value)}" for row in rows)
    return Markup(plots.intervals(rows, xlabel=xlabel, key=key, label=f"{xlabel} with intervals: {words}", zero=zero))


def _table(study: StudyTrials) -> dict[str, Any]:
    """Every trial with its scores and settings."""
    metrics = {objective.metric for objective in study.objectives}
    others = {"joint": "joint.macro_f1"} | {task: f"tasks.{task}.macro_f1" for task in study.tasks}
    shown = [name for name, metric in others.items() if metric not in metrics]
    rows = []
    for number, trial in study.trials.items():
        scores = [study.score(number, place) for place in range(len(study.objectives))]
        found = trial["scores"] or {"joint": None, "tasks": {}}
        known = {"joint": found["joint"], **found["tasks"]}
        scores += [finite(known.get(name)) for name in shown]
        rows.append(
            {
                "number": number,
                "best": number in study.bests,
                "sign": "■"
                if number == study.base
                else "★"
                if number in study.bests
                else _SIGNS.get(trial["state"], "…"),
                "state": trial["state"],
                "origin": trial["origin"],
                "scores": [score_text(score) for score in scores],
                "epochs": count_text(len(trial["history"])),
                "time": "–" if trial["seconds"] is None else time_text(trial["seconds"]),
                "settings": [_setting(trial, name) for name in study.params],
                "reason": shorten(trial["failure"] or trial["note"] or "", _LONG_MESSAGE),
            }
        )
    heads = [objective.name for objective in study.objectives] + shown
    reasons = any(row["reason"] for row in rows)
    return {"rows": rows, "scores": heads, "settings": list(map(key_breaks, study.params)), "reasons": reasons}


def _setting(trial: Mapping[str, Any], name: str) -> str:
    return value_text(trial["params"][name]) if name in trial["params"] else "–"
