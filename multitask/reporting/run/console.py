"""Reports and comparisons of runs on the console."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from multitask.data.empty_cells import EmptyCells
from multitask.evaluation.decode_scores import DecodeComparison
from multitask.evaluation.grouped_schema import GroupedScores
from multitask.evaluation.networks_schema import FoldScores
from multitask.evaluation.report_overview import RunOverview
from multitask.evaluation.report_schema import RunReport
from multitask.evaluation.scores import ClassScores, LabellingScores, UnseenScores
from multitask.reporting.console import make_table, out, say, say_wrapped, score, show_table, with_interval
from multitask.reporting.run.class_rows import listed_in_words, worst_classes
from multitask.reporting.run.decode_rules import none_fitted, rule_marks, scores_known
from multitask.reporting.run.empty_cells import impossible_yaml, never_in_words
from multitask.reporting.run.ensemble import ensemble_view
from multitask.reporting.run.groups import groups_in_words
from multitask.reporting.run.label_prior import prior_lines
from multitask.reporting.run.score_rows import labelled_whole
from multitask.reporting.study.text import heads_that_fit
from multitask.reporting.text import amount_text, crop_text, error_text, image_notes
from multitask.utils.spelling import plural

CLASS_ROWS = 40
"""Of more classes than this only the worst of those that occur are listed."""

WORST_ROWS = 20

COVERAGE = 0.9
"""Of the prediction sets that are shown."""

ABSENT_NAMES = 12
"""So many classes that are absent are named."""


_STATE = 16
"""Columns that a run's state has before heads are left out for it: the reason why one is damaged breaks."""


def show_report(report: RunReport) -> None:
    """A report's figures: per head and joint, per class, and what each head costs."""
    attribution = report.attribution
    lost = attribution.lost or {}
    say()
    errors = {task: scores.number for task, scores in report.tasks.items() if scores.number is not None}
    mae = ("MAE",) if errors else ()
    table = make_table(
        f"{report.run}, {report.split}: {plural(report.num_images, 'image', 'images')} of "
        f"{plural(report.num_groups, 'group', 'groups')}",
        ("", "macro-F1 (95%)", "accuracy (95%)", *mae, "ECE", "perfect", "loses"),
    )
    table.padding = (0, 1, 0, 0)  # or scores of 1.000 would break the rows of 80 columns
    lacking = None if report.joint.macro_f1 is None else 1 - report.joint.macro_f1
    for name, scores in report.labellings.items():
        table.add_row(
            name,
            with_interval(scores.macro_f1, scores.macro_f1_ci),
            with_interval(scores.accuracy, scores.accuracy_ci),
            *(amount_text(errors[name].mae) if name in errors else "" for _ in mae),
            score(scores.ece),
            score(attribution.perfect.get(name)) if name != "joint" else "",
            score(lost.get(name)) if name != "joint" else score(lacking),
            style="bold" if name == "joint" else "",
        )
    show_table(table)
    if report.origin:
        say_wrapped(report.origin)
    if lacking is not None:
        if report.joint.num_images < report.num_images:
            say_wrapped(f"joint: on the {labelled_whole(report.joint)}")
        say_wrapped("perfect: the joint macro-F1, were that task never wrong; loses: its share of what is lost")
    if errors:
        found = ", ".join(f"{task} {error_text(number)}" for task, number in errors.items())
        say_wrapped(f"MAE: mean absolute error of the number that the answer amounts to, in its unit: {found}")
    _show_rules(report.decode_rules)
    if report.joint_term:
        say()
        say_wrapped(report.joint_term.sentence)
    _show_groups(report.grouped)
    _show_promises(report)
    if lines := prior_lines(report.label_prior):
        say()
        for line in lines:
            say_wrapped(line)
    _show_members(report)
    if report.folds:
        say()
        _show_folds(report.folds, list(report.tasks))
        say()
    if report.unseen:
        say_wrapped(unseen_in_words(report.unseen))
    if report.crop:
        say_wrapped(crop_text(report.crop))
    for note in image_notes(report.images):
        say_wrapped(note)
    if not report.joint.num_images:
        say_wrapped("joint: unknown, since no image has all its labels")
    else:
        _show_absent(report.joint, report.empty_cells or EmptyCells((), (), ()))
    for name, scores in report.labellings.items():
        if scores.num_images:
            say()
            _show_classes(name, scores)


def _show_absent(joint: LabellingScores, empty: EmptyCells) -> None:
    """The classes that have no image: in these images, or at all."""
    elsewhere = [name for name in joint.absent_classes if name not in set(empty.never)]
    if elsewhere:
        ceiling = f"; macro-F1 is at most {score(joint.ceiling)} here" if joint.ceiling is not None else ""
        more = f" and {len(elsewhere) - ABSENT_NAMES:,} more" if len(elsewhere) > ABSENT_NAMES else ""
        say_wrapped(
            f"absent from these images, and so an F1 of 0: {', '.join(elsewhere[:ABSENT_NAMES])}{more}{ceiling}"
        )
    if names := empty.untrained:
        more = f" and {len(names) - ABSENT_NAMES:,} more" if len(names) > ABSENT_NAMES else ""
        say_wrapped(f"in the data, but none that trains: {', '.join(names[:ABSENT_NAMES])}{more}")
    if empty.never:
        say_wrapped(never_in_words(empty, len(joint.classes)))
        if lines := impossible_yaml(empty):
            say(lines.rstrip())


def _show_rules(found: DecodeComparison | None) -> None:
    """Every decode rule's score on the same groups, and which is used."""
    if not found:
        return
    say()
    if scores_known(found):
        _show_rule_scores(found)
    else:
        say(f"decode rule: {found.used}")
    for sentence in (found.sentence, found.note):
        if sentence:
            say_wrapped(sentence)
    temperatures = ", ".join(f"{name} {value:.2f}" for name, value in found.temperatures.items())
    say_wrapped(f"temperatures (above 1: surer than right): {temperatures}")


def _show_rule_scores(found: DecodeComparison) -> None:
    how = f"cross-fitted over {found.num_folds} folds of groups" if found.cross_fitted else "fitted before"
    if none_fitted(found):
        how = "none of them fitted"
    table = make_table(f"decode rules, {how}", ("", "joint macro-F1 (95%)", "less independent (95%)", ""), left=1)
    for row in found.rules:
        marks = rule_marks(found, row.name)
        table.add_row(
            row.name,
            with_interval(row.macro_f1, row.macro_f1_ci),
            _difference(row.difference, row.difference_ci),
            ", ".join(marks),
            style="bold" if "used" in marks else "",
        )
    show_table(table)


def _show_groups(found: GroupedScores | None) -> None:
    """The scores of answers to groups, and how they differ from those image by image."""
    if found is None:
        return
    say()
    # The difference of the accuracies is on the page: here it would break the rows of 80 columns.
    columns = ("macro-F1 (95%)", "less image by image (95%)", "accuracy (95%)")
    table = make_table(f"answered for groups, {found.pooling} pooling", ("", *columns))
    for name, part in found.labellings.items():
        table.add_row(
            name,
            with_interval(part.scores.macro_f1, part.scores.macro_f1_ci),
            _difference(part.macro_f1_difference, part.macro_f1_difference_ci),
            with_interval(part.scores.accuracy, part.scores.accuracy_ci),
            style="bold" if name == "joint" else "",
        )
    show_table(table)
    for sentence in groups_in_words(found):
        say_wrapped(sentence)


def _difference(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None or interval is None:
        return "-"
    low, high = interval
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


def _show_promises(report: RunReport) -> None:
    """Prediction sets and abstaining, a line each."""
    from multitask.reporting.run.promises import asks_in_words, sets_in_words  # which draws, too

    lines = [sets_in_words(report.sets or {}, COVERAGE)]
    if report.selective is not None:
        lines.append(asks_in_words(report.selective))
    for line in filter(None, lines):
        say_wrapped(line)


def _show_members(report: RunReport) -> None:
    """An ensemble's members beside the whole."""
    view = ensemble_view(report.ensemble, report.joint.macro_f1)
    if view is None:
        return
    say()
    heads = ("member", *(f"w {name}" for name in view.outputs), "log-loss", "macro-F1", "ensemble less it (95%)")
    table = make_table("members, on what all of them answered unseen", heads)
    table.padding = (0, 1, 0, 0)
    for row in view.rows:
        table.add_row(*row)
    show_table(table)
    say_wrapped(view.mixing)
    say_wrapped(view.sentence)


def _show_folds(folds: Sequence[FoldScores], tasks: Sequence[str]) -> None:
    table = make_table("macro-F1 by fold", ("fold", "groups", "joint", *tasks))
    for row in folds:
        scores = (score(value) for value in (row.macro_f1, *(row.tasks[task] for task in tasks)))
        table.add_row(str(row.fold), str(row.num_groups), *scores)
    show_table(table)


def unseen_in_words(unseen: UnseenScores) -> str:
    """How classes that were held out of training are answered, in a line."""
    num = len(unseen.classes)
    which = unseen.classes[0].name if num == 1 else f"{num} classes"
    return (
        f"never trained on ({which}, {plural(unseen.num_images, 'image', 'images')}): macro-F1 "
        f"{with_interval(unseen.macro_f1, unseen.macro_f1_ci)}; of the other classes "
        f"{with_interval(unseen.seen_macro_f1, unseen.seen_macro_f1_ci)}"
    )


def _show_classes(name: str, scores: LabellingScores) -> None:
    rows: Sequence[ClassScores] = scores.classes
    title = name
    if len(rows) > CLASS_ROWS:
        rows, title = worst_classes(rows, WORST_ROWS), f"{name}: {listed_in_words(rows, WORST_ROWS)}"
    table = make_table(title, ("class", "precision", "recall", "F1", "images"))
    for row in rows:
        table.add_row(row.name, score(row.precision), score(row.recall), score(row.f1), str(row.support))
    show_table(table)


def show_runs(rows: Sequence[RunOverview], tasks: Sequence[str]) -> None:
    """Runs with their scores, a line each; tasks as there is room for."""
    names = ("run", "epochs", "joint macro-F1 (95%)", "state")
    texts = [(row.name, row.epochs, with_interval(row.macro_f1, row.macro_f1_ci), row.state) for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(names, *texts, strict=True)]
    taken = sum(widths[:-1]) + min(widths[-1], _STATE) + 2 * len(names[1:])
    heads = heads_that_fit(tasks, out.width - taken)
    table = make_table("", (*names[:-1], *(heading for heading, _ in heads.values()), names[-1]))
    for column in table.columns[1:-1]:
        column.no_wrap = True
    for row, (*cells, state) in zip(rows, texts, strict=True):
        table.add_row(*cells, *(score(row.tasks.get(task)) for task in heads), state)
    show_table(table)
    if len(heads) < len(tasks):
        say_wrapped(f"not shown for want of room: {', '.join(tasks[len(heads) :])}")


def show_scores(names: Sequence[str], scores: Mapping[str, Sequence[str]]) -> None:
    """The scores of runs, a column each."""
    table = make_table("scores", ("", *names))
    for key, texts in scores.items():
        table.add_row(key, *texts)
    show_table(table)


def show_differences(base: str, rows: Iterable[Any]) -> None:
    """Paired differences with their intervals, a table per run, and whether they are beyond the choice of groups."""
    for run, found in groupby(rows, key=lambda row: row.run):
        say()
        columns = ("score", "difference", "95% interval", "groups", "")
        table = make_table(f"{run} less {base}, on the images that both answered", columns)
        for row in found:
            verdict = Text("beyond noise", style="green") if row.beyond_noise else Text("within noise", style="dim")
            interval = f"{row.low:+.3f} to {row.high:+.3f}"
            table.add_row(row.metric, f"{row.value:+.3f}", interval, str(row.num_groups), verdict)
        show_table(table)


def show_settings(names: Sequence[str], settings: Mapping[str, Sequence[Any]]) -> None:
    """The settings of runs that are not the same in all, a column each."""
    say()
    if not settings:
        say("no setting differs that changes what is computed")
        return
    table = make_table("settings that differ", ("", *names))
    for key, values in settings.items():
        table.add_row(key, *("-" if value is None else str(value) for value in values))
    show_table(table)
