"""The console's part for bake-offs: what was found, in sentences and tables."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from multitask.reporting.bakeoff.report_schema import BakeoffReport, PassFigure, ScoredContender
from multitask.reporting.bakeoff.text import epochs_text, groups_text, rate_text, size_text, terms_text
from multitask.reporting.console import make_table, out, say, say_wrapped, score, show_table
from multitask.reporting.study.text import heads_that_fit
from multitask.reporting.text import points_text, shorten_each

_NAME = 28  # letters of a contender's name


def show_bakeoff(report: BakeoffReport) -> None:
    """A bake-off's report: a sentence for each comparison, then scores, differences and costs.

    Args:
        report: what its ``report.json`` holds.
    """
    say()
    say_wrapped(f"bake-off {report.bakeoff}", "bold")
    say_wrapped(f"{report.metric}; {terms_text(report)}; {groups_text(report)}")
    say()
    for sentence in report.sentences:
        say_wrapped(sentence)
    rows = report.last.scored
    at = "" if report.axis is None else f", {report.last.point} groups to train"
    _show_scores(report, rows, at)
    _show_differences(report, rows, at)
    if report.axis is not None:
        _show_axis(report)
    _show_costs(report, rows)


def _show(table: Table) -> None:
    say()
    show_table(table)


def _names(report: BakeoffReport) -> dict[str, str]:
    """The contenders' names as tables have room for them."""
    return shorten_each([row.name for row in report.contenders], _NAME if out.width >= 100 else 20)


def _ranged(figure: PassFigure | None) -> str:
    if figure is None:
        return "-"
    return f"{score(figure.value)} ({score(figure.ci[0])} to {score(figure.ci[1])})"


def _value(figure: PassFigure | None) -> str:
    return score(None if figure is None else figure.value)


def _show_scores(report: BakeoffReport, rows: Mapping[str, ScoredContender], at: str) -> None:
    other = report.metric != "joint.macro_f1"
    joint = any(row.joint is not None for row in rows.values()) or not other
    tasks = [task for task in report.tasks if report.metric != f"tasks.{task}.macro_f1"]
    unseen = any(row.unseen for row in rows.values())
    room = out.width - 22 - (22 if joint else 0) - (24 if other else 0) - (9 if unseen else 0)
    heads = heads_that_fit(tasks, room)
    columns = ["", *(["joint (95%)"] if joint else []), *([report.metric] if other else [])]
    columns += [heading for heading, _ in heads.values()]
    table = make_table(f"macro-F1{at}", [*columns, *(["unseen"] if unseen else [])])
    names = _names(report)
    for name, row in rows.items():
        cells = [names[name], *([_ranged(row.joint)] if joint else [])]
        cells += [_ranged(row.metric)] if other else []
        cells += [_value(row.tasks[task]) for task in heads]
        cells += [_value(row.unseen)] if unseen else []
        table.add_row(*cells, style="bold" if name == report.reference else "")
    _show(table)
    if len(heads) < len(tasks):
        say_wrapped(f"not shown for want of room: {', '.join(tasks[len(heads) :])}")


def _show_differences(report: BakeoffReport, rows: Mapping[str, ScoredContender], at: str) -> None:
    columns = ("", "points", "95%", "", "by seed")
    table = make_table(f"less {report.reference}, group by group{at}", columns)
    base, names = rows[report.reference].runs, _names(report)
    for name, row in rows.items():
        found = row.difference
        if found is None:
            continue
        verdict = Text("beyond noise", style="green") if found.beyond_noise else Text("within noise", style="dim")
        seeds = [_gap_text(one.score, other.score) for one, other in zip(row.runs, base, strict=True)]
        shown = " ".join(seeds if len(seeds) <= 4 else [*seeds[:3], "..."])
        interval = f"{points_text(found.low)} to {points_text(found.high)}"
        table.add_row(names[name], points_text(found.value), interval, verdict, shown)
    _show(table)


def _gap_text(one: float | None, other: float | None) -> str:
    return "-" if one is None or other is None else points_text(one - other)


def _show_axis(report: BakeoffReport) -> None:
    table = make_table(f"{report.metric} by the number of groups to train", ("", *map(str, report.axis or ())))
    scored, names = [point.scored for point in report.points], _names(report)
    for name in report.last.contenders:
        table.add_row(names[name], *(_value(rows[name].metric if name in rows else None) for rows in scored))
    _show(table)


def _show_costs(report: BakeoffReport, rows: Mapping[str, ScoredContender]) -> None:
    table = make_table("costs", ("", "weights", "memory", "epochs", "train", "answer"))
    names = _names(report)
    for contender in report.contenders:
        row = rows.get(contender.name)
        if row is None:
            continue
        table.add_row(
            names[contender.name],
            "-" if row.num_parameters is None else f"{row.num_parameters / 1e6:.2f} M",
            size_text(contender.training_memory.total),
            epochs_text(row.epochs),
            rate_text(row.train_images_per_s),
            rate_text(contender.inference_images_per_s),
        )
    _show(table)
    say_wrapped("memory: of a training step, counted; train, answer: images per second on this machine")
    again = {row.name: row.answered_from for row in report.contenders if row.answered_from}
    for name, source in again.items():
        say_wrapped(f"{name}: the networks of {source}, answered by another rule")
    for contender in report.contenders:
        if contender.tuned:
            values = ", ".join(f"{key} {value}" for key, value in contender.tuned.items())
            say_wrapped(f"{contender.name}: tuned to {values}")
