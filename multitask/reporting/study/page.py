"""The page of a study: what its report holds, put into the order and the words that the template prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from multitask.reporting.html import render
from multitask.reporting.study import plots, sections
from multitask.reporting.study.plots import Interval
from multitask.reporting.study.report_schema import ConfirmationReport, ConfirmedTrial, StudyReport, Trial
from multitask.reporting.study.sections import trial_name
from multitask.reporting.study.text import time_text, value_text
from multitask.reporting.study.trials import StudyTrials, finite, key_breaks
from multitask.reporting.text import count_text, interval_text, moment_text, score_text, shorten
from multitask.reporting.views import Row
from multitask.utils.spelling import plural

_SIGNS = {"finished": "●", "pruned": "▽", "failed": "✕"}
_LONG_MESSAGE = 400  # letters of a failure that its row shows


def render_study(report: StudyReport) -> str:
    """A study's report as a complete HTML page that needs no other file.

    Args:
        report: any score in it can be None.

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
        title=f"{report.study} · study",
        report=report,
        created=moment_text(report.created),
        aim=_aim(report, study),
        cards=_cards(report, study),
        sections=titles,
        states={mark.state for mark, _ in study.scored},
        objective=study.objectives[0].name,
        several=len(study.objectives) > 1,
        history=sections.history(study),
        chosen=_chosen(study),
        confirmation=_confirmation(report.confirmation, study),
        learning=sections.learning(study),
        importances=sections.importances(study, report),
        slices=sections.slices(study),
        parallel=sections.parallel(study),
        weights=weights,
        trade_offs=sections.trade_offs(study),
        table=_table(study),
    )


def _aim(report: StudyReport, study: StudyTrials) -> str:
    aims = (f"{'maximise' if objective.maximize else 'minimise'} {objective.name}" for objective in study.objectives)
    return f"{', '.join(aims)} · sampler {report.sampler} · pruner {report.pruner} · seed {report.seed}"


def _cards(report: StudyReport, study: StudyTrials) -> list[tuple[str, str, str]]:
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
    confirmation = report.confirmation
    if confirmation:
        confirmed = {row.trial: row.confirmed for row in confirmation.rows}
        under = "".join(f"base {score_text(row.confirmed)}" for row in confirmation.rows if row.base)
        cards.append(
            (
                "Winner, confirmed",
                score_text(confirmed.get(confirmation.winner) if confirmation.winner is not None else None),
                under,
            )
        )
    counts = report.counts
    others = ((counts.retried, "queued again"), (counts.running, "running"), (counts.waiting, "waiting"))
    words = [f"{counts.pruned:,} pruned", f"{counts.failed:,} failed"]
    words += [f"{num:,} {word}" for num, word in others if num]
    cards.append(("Trials finished", count_text(counts.finished), ", ".join(words)))
    cards.append(("Time", time_text(report.seconds), "all trials together"))
    trained, full = report.epochs, report.epochs_full
    saved = f"{1 - trained / full:.0%}" if full else "–"
    cards.append(("Epochs saved by pruning", saved, f"{trained:,} of {full:,} trained"))
    return cards


@dataclass(frozen=True)
class _ChosenColumn:
    """A trial's scores in the objectives, and its settings."""

    name: str
    scores: list[str]
    values: list[str]


@dataclass(frozen=True)
class _ChosenView:
    """Trials side by side: the settings' names, the objectives, a column each."""

    names: list[Markup]
    objectives: list[str]
    columns: list[_ChosenColumn]


@dataclass(frozen=True)
class _ConfirmationView:
    """The confirmed scores: the sentences, the differences' level, a row of cells per trial, and two plots.

    ``ticks``: whether the plot of the pooled scores shows the single runs.
    """

    found: ConfirmationReport
    level: str
    ticks: bool
    words: str
    tasks: list[str]
    rows: list[Row]
    pooled: Markup | None
    differences: Markup | None


@dataclass(frozen=True)
class _TrialRow:
    """A trial's row in the table of all."""

    number: int
    best: bool
    sign: str
    state: str
    origin: str
    scores: list[str]
    epochs: str
    time: str
    settings: list[str]
    reason: str


@dataclass(frozen=True)
class _TrialsTable:
    """All trials, with the names of the columns of scores and settings, and whether there is one of reasons."""

    rows: list[_TrialRow]
    scores: list[str]
    settings: list[Markup]
    reasons: bool


def _chosen(study: StudyTrials) -> _ChosenView | None:
    """The settings of the best trials beside the base's, a column each; None where there is neither."""
    numbers = list(dict.fromkeys(([] if study.base is None else [study.base]) + study.bests))
    if not numbers:
        return None
    names = [name for name in study.params if any(name in study.trials[number].params for number in numbers)]
    columns = [
        _ChosenColumn(
            trial_name(study.marks[number]),
            [score_text(study.score(number, place)) for place in range(len(study.objectives))],
            [_setting(study.trials[number], name) for name in names],
        )
        for number in numbers
    ]
    return _ChosenView(list(map(key_breaks, names)), [objective.name for objective in study.objectives], columns)


def _confirmation(found: ConfirmationReport | None, study: StudyTrials) -> _ConfirmationView | None:
    """The confirmed scores as a table and as two plots."""
    if found is None:
        return None
    tasks = [task for task in study.tasks if any(task in row.tasks for row in found.rows)]
    ticks = study.objectives[0].metric == "joint.macro_f1"  # else the runs' scores are of another kind
    joint = any(row.pooled is not None for row in found.rows)
    rows, pooled, differences = [], [], []
    for row in found.rows:
        name = f"base (trial {row.trial})" if row.base else f"trial {row.trial}"
        winner, difference = row.trial == found.winner, row.difference
        low, high = row.pooled_ci or (None, None)
        runs = tuple(run for run in row.runs if run is not None) if ticks else ()
        pooled.append(Interval(name, row.pooled, low, high, runs, strong=winner))
        if difference is not None:
            bounds = (difference.low, difference.high)
            differences.append(Interval(name, difference.value, *bounds, full=difference.beyond_noise, strong=winner))
        rows.append(Row.of(name, *_confirmed_texts(row, tasks, joint), strong=winner))
    seeds = plural(found.num_seeds, "fresh seed", "fresh seeds")
    images = plural(found.num_images, "image", "images")
    groups = plural(found.num_groups, "group", "groups")
    return _ConfirmationView(
        found=found,
        level=f"{found.level:.1%}".replace(".0%", "%"),
        ticks=ticks,
        words=(
            f"Each of these trials was run again with {seeds}, on as many of {found.num_folds:,} folds that share "
            f"no group: {images} of {groups}, none of which the network that answered it had learned from."
        ),
        tasks=tasks,
        rows=rows,
        pooled=_intervals(pooled, "pooled joint macro-F1", "pooled", zero=False),
        differences=_intervals(differences, "difference to the base", "differences", zero=True),
    )


def _confirmed_texts(row: ConfirmedTrial, tasks: Sequence[str], joint: bool) -> list[str]:
    difference = row.difference
    texts = [score_text(row.study_score), score_text(row.confirmed), score_text(row.luck)]
    if joint:
        texts += [score_text(row.pooled), interval_text(row.pooled_ci) or "–"]
    texts += [score_text(row.tasks[task].value if task in row.tasks else None) for task in tasks]
    if difference is None:
        return [*texts, score_text(None), "–", "–"]
    interval = interval_text((difference.low, difference.high))
    return [*texts, score_text(difference.value), interval, "yes" if difference.beyond_noise else "no"]


def _intervals(rows: Sequence[Interval], xlabel: str, key: str, zero: bool) -> Markup | None:
    if all(row.value is None for row in rows):
        return None
    words = "; ".join(f"{row.name} {score_text(row.value)}" for row in rows)
    return Markup(plots.intervals(rows, xlabel=xlabel, key=key, label=f"{xlabel} with intervals: {words}", zero=zero))


def _table(study: StudyTrials) -> _TrialsTable:
    """Every trial with its scores and settings."""
    metrics = {objective.metric for objective in study.objectives}
    others = {"joint": "joint.macro_f1"} | {task: f"tasks.{task}.macro_f1" for task in study.tasks}
    shown = [name for name, metric in others.items() if metric not in metrics]
    rows = []
    for number, trial in study.trials.items():
        scores = [study.score(number, place) for place in range(len(study.objectives))]
        known = trial.scores.by_head if trial.scores is not None else {}
        scores += [finite(known.get(name)) for name in shown]
        rows.append(
            _TrialRow(
                number=number,
                best=number in study.bests,
                sign="■" if number == study.base else "★" if number in study.bests else _SIGNS.get(trial.state, "…"),
                state=trial.state,
                origin=trial.origin,
                scores=[score_text(score) for score in scores],
                epochs=count_text(len(trial.history)),
                time="–" if trial.seconds is None else time_text(trial.seconds),
                settings=[_setting(trial, name) for name in study.params],
                reason=shorten(trial.failure or trial.note or "", _LONG_MESSAGE),
            )
        )
    heads = [objective.name for objective in study.objectives] + shown
    return _TrialsTable(rows, heads, list(map(key_breaks, study.params)), any(row.reason for row in rows))


def _setting(trial: Trial, name: str) -> str:
    return value_text(trial.params[name]) if name in trial.params else "–"
