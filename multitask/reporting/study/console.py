"""The console's part for studies: who tells how one goes, and tables of what it found."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from multitask.progress import StudyProgress
from multitask.reporting.console import make_table, out, say, say_wrapped, score, show_table, with_interval
from multitask.reporting.figures import IntervalGap
from multitask.reporting.study.live import LiveStudyProgress, PlainStudyProgress, QuietStudyProgress
from multitask.reporting.study.report_schema import ConfirmationReport, StudyReport, Trial
from multitask.reporting.study.text import (
    heads_that_fit,
    metric_heading,
    short_names,
    time_text,
    value_text,
)
from multitask.reporting.text import level_text, shorten
from multitask.settings import Changes
from multitask.utils.spelling import plural

_BEST = 5  # trials that are shown beside the base
_RUNS = 3  # confirming runs of a trial that are shown one by one
_PARAMS = 10  # parameters whose importance is shown
_FAILURES = 5  # messages of failed trials that are shown
_SHARE = 30  # columns of the bar of a parameter that alone matters
_RATIOS = "weight_ratio."  # parameters that make the heads' weights, which are shown themselves


def make_study_progress(quiet: bool) -> StudyProgress:
    """A study's progress on the console: live in a terminal, plain lines elsewhere, warnings alone if quiet."""
    if quiet:
        return QuietStudyProgress()
    return LiveStudyProgress(out) if out.is_terminal else PlainStudyProgress(out)


def show_study(report: StudyReport) -> None:
    """A study's report: what it says in sentences, the best trials, what mattered, and what the confirmation found.

    Args:
        report: a figure in it that could not be had is None.
    """
    say()
    say_wrapped(f"study {report.study}", style="bold")
    aims = " and ".join(f"{aim.direction} {aim.metric}" for aim in report.objectives)
    means = ", ".join(f"{name} {value_text(getattr(report, name))}" for name in ("base", "sampler", "pruner", "seed"))
    say_wrapped(f"{aims}; {means}")
    for sentence in report.sentences:
        say_wrapped(sentence)
    _show_counts(report)
    base = base_trial(report.trials)
    shown = best_trials(report)
    if base is not None and base not in shown:
        shown.append(base)
    if shown:
        _show_scores(report, shown, base)
        _show_settings(shown, base)
    _show_importances(report)
    if report.confirmation is not None:
        _show_confirmation(report.confirmation, report.sentences)


def base_trial(trials: Sequence[Trial]) -> Trial | None:
    """The trial of the base as it stands; if its worker was lost, the one that took its place."""
    found: list[Trial] = []
    for trial in sorted(trials, key=lambda trial: trial.number):
        if trial.origin in ("base", *(f"retry of {lost.number}" for lost in found)):
            found.append(trial)
    finished = [trial for trial in found if trial.state == "finished"]
    return next(iter(finished or found[-1:]), None)


def best_trials(report: StudyReport) -> list[Trial]:
    """The best few by the (first) objective; with several objectives, of those that no other beats in all."""
    front = set(report.front)
    scored = [
        trial
        for trial in report.trials
        if trial.state == "finished" and trial.values and (not front or trial.number in front)
    ]
    sign = -1 if report.objectives[0].direction == "maximize" else 1
    return sorted(scored, key=lambda trial: (_rank(trial, sign), trial.number))[:_BEST]


def _rank(trial: Trial, sign: int) -> float:
    """By the first objective: the lower, the better; what is no number is the worst."""
    value = trial.values[0] if trial.values else None
    return math.inf if value is None else sign * value


def _show_counts(report: StudyReport) -> None:
    counts = report.counts
    ended = counts.finished + counts.pruned + counts.failed
    parts = [f"{counts.finished:,} finished", f"{counts.pruned:,} pruned", f"{counts.failed:,} failed"]
    others = ((counts.retried, "queued again"), (counts.running, "running"), (counts.waiting, "waiting"))
    parts += [f"{num:,} {word}" for num, word in others if num]
    say()
    took = f", {time_text(report.seconds)} of work" if report.seconds else ""
    say_wrapped(f"{plural(ended, 'trial', 'trials')}{took}: {', '.join(parts)}")
    messages = Counter(
        " ".join((trial.failure or "no reason is known").split()) for trial in report.trials if trial.state == "failed"
    )
    if messages:
        table = make_table("why trials failed", ("", ""), left=2)
        table.show_header = False
        for message, count in messages.most_common(_FAILURES):
            table.add_row(f"{count} ×", Text(message))
        show_table(table)
        if len(messages) > _FAILURES:
            say(f"and for {plural(len(messages) - _FAILURES, 'other reason', 'other reasons')}")


def _show_scores(report: StudyReport, shown: Sequence[Trial], base: Trial | None) -> None:
    """A row per trial: its scores in the objectives, then those of the heads that are no objective."""
    metrics = [aim.metric for aim in report.objectives]
    labels = [_label(trial, base) for trial in shown]
    aims = [shorten(metric_heading(metric), 14) for metric in metrics]
    others = [name for name in ("joint", *report.tasks) if _macro_f1_of(name) not in metrics]
    room = out.width - max(map(len, labels)) - sum(max(len(aim), 5) + 2 for aim in aims)
    heads = heads_that_fit(others, room)
    title = "the best trials"
    if report.front:
        title = "on the front" + (", and the base" if base is not None and base.number not in report.front else "")
    say()
    table = make_table(title, ("trial", *aims, *(heading for heading, _ in heads.values())))
    for trial, label in zip(shown, labels, strict=True):
        values = trial.values or [None] * len(metrics)
        of_heads = trial.scores.by_head if trial.scores is not None else {}
        table.add_row(
            label,
            *map(score, values),
            *(score(of_heads.get(name)) for name in heads),
            style="green" if trial.number == report.best else "",
        )
    show_table(table)
    if report.front:
        say(f"on the front: {plural(len(report.front), 'trial', 'trials')}")
    if len(heads) < len(others):
        say_wrapped(f"not shown for want of room: {', '.join(others[len(heads) :])}")


def _show_settings(shown: Sequence[Trial], base: Trial | None) -> None:
    """A row per setting that is not the same in all, a column per trial."""
    settings = [_settings(trial) for trial in shown]
    keys = dict.fromkeys(key for one in settings for key in one)
    texts = {key: [value_text(one[key]) if key in one else "-" for one in settings] for key in keys}
    texts = {key: row for key, row in texts.items() if any(text != row[0] for text in row)}
    if not texts:
        return
    columns = ["base" if trial is base else str(trial.number) for trial in shown]
    widths = [max(map(cell_len, column)) for column in zip(columns, *texts.values(), strict=True)]
    names = {key: key for key in texts}
    if max(map(len, names)) + sum(width + 2 for width in widths) > out.width:
        names = {key: shorten(name, out.width // 3) for key, name in short_names(texts, least=2).items()}
    # What is left for a value is shared evenly; what a long one loses stands in the page.
    limit = max((out.width - max(map(len, names.values()))) // len(columns) - 2, 5)
    say()
    table = make_table("settings by trial, where they differ", ("", *columns))
    for key, row in texts.items():
        table.add_row(names[key], *(text if len(text) <= limit else f"{text[: limit - 1]}…" for text in row))
    show_table(table)


def _show_importances(report: StudyReport) -> None:
    if not report.importances:
        if report.importances_missing:
            say()
            say_wrapped(f"no importances: {report.importances_missing}")
        return
    known = ((name, share) for name, share in report.importances.items() if share is not None)
    ranked = sorted(known, key=lambda item: -item[1])
    say()
    about = report.importances_about
    trials = about.trials if about is not None else {}
    table = make_table("what the score depends on", ("", "share", *(["trials"] if trials else []), ""))
    table.columns[-1].justify = "left"
    for name, share in ranked[:_PARAMS]:
        have = [f"{trials.get(name, 0):,}"] if trials else []
        bar = Text("━" * round(share * _SHARE), style="cyan")
        table.add_row(shorten(name, 32 if trials else 40), f"{share:.0%}", *have, bar)
    show_table(table)
    if len(ranked) > _PARAMS:
        rest = sum(share for _, share in ranked[_PARAMS:])
        say_wrapped(f"and {plural(len(ranked) - _PARAMS, 'other', 'others')} with {rest:.0%} together")
    if about is not None and about.sentence:
        say_wrapped(about.sentence)
    if about is not None and about.conditional:
        say_wrapped("The share of a setting that only some trials have stands on these, and on whether they have it.")


def _show_confirmation(confirmation: ConfirmationReport, said: Sequence[str]) -> None:
    """A row per confirmed trial, the figures of winner and base, and what they mean in sentences."""
    level = level_text(confirmation.level)
    size = (
        f"{plural(confirmation.num_images, 'image', 'images')} of {plural(confirmation.num_groups, 'group', 'groups')}"
    )
    trained = f"{plural(confirmation.num_seeds, 'seed', 'seeds')} × {plural(confirmation.num_folds, 'fold', 'folds')}"
    say()
    columns = ("trial", "study", "confirmed", "runs", f"difference ({level})", "noise")
    table = make_table(f"confirmed on {trained}, {size}", columns)
    for row in confirmation.rows:
        difference = row.difference
        verdict = Text()
        if difference is not None:
            verdict = Text("beyond", style="green") if difference.beyond_noise else Text("within", style="dim")
        table.add_row(
            f"{row.trial}{' base' if row.base else ''}{' ★' if row.trial == confirmation.winner else ''}",
            score(row.study_score),
            score(row.confirmed),
            _runs_text(row.runs),
            "" if difference is None else _difference_text(difference),
            verdict,
        )
    show_table(table)
    winner = "★ the winner; " if confirmation.winner is not None else ""
    say_wrapped(f"{winner}confirmed: the runs' mean; difference: of their pooled answers")
    shown = [row for row in confirmation.rows if row.base or row.trial == confirmation.winner]
    names = ("base" if row.base else f"trial {row.trial}" for row in shown)
    table = make_table("macro-F1 of the pooled answers of all runs (95%)", ("", *names))
    joint = [None] if any(row.pooled is not None for row in shown) else []
    for task in (*joint, *(shown[0].tasks if shown else ())):
        figures = [
            (row.pooled, row.pooled_ci) if task is None else (row.tasks[task].value, row.tasks[task].ci)
            for row in shown
        ]
        table.add_row("joint" if task is None else shorten(task), *(with_interval(*figure) for figure in figures))
    say()
    show_table(table)
    say()
    for sentence in (confirmation.sentence, confirmation.luck_sentence):
        if sentence and sentence not in said:
            say_wrapped(sentence)


def _label(trial: Trial, base: Trial | None) -> str:
    """``17``, ``0 base``, ``0 base, failed``."""
    state = "" if trial.state == "finished" else f", {trial.state}"
    return f"{trial.number}{' base' if trial is base else ''}{state}"


def _macro_f1_of(name: str) -> str:
    return "joint.macro_f1" if name == "joint" else f"tasks.{name}.macro_f1"


def _settings(trial: Trial) -> Changes:
    """The settings of a trial: its parameters, the heads' weights as weights."""
    weights = trial.weights or {}
    found = {key: value for key, value in trial.params.items() if not (weights and key.startswith(_RATIOS))}
    return {**found, **{f"heads.{task}.weight": weight for task, weight in weights.items()}}


def _runs_text(runs: Sequence[float | None]) -> str:
    """Every run's score, or the range of many."""
    if len(runs) <= _RUNS:
        return " ".join(map(score, runs))
    known = [run for run in runs if run is not None]
    return f"{score(min(known))} to {score(max(known))}" if known else "-"


def _difference_text(difference: IntervalGap) -> str:
    return f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"
