"""The sections of a bake-off's page: each table and plot as the template prints it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from multitask.reporting.bakeoff.plots import SizeCurve, by_size
from multitask.reporting.bakeoff.report_schema import BakeoffReport, PassFigure, ScoredContender, groups_to_train
from multitask.reporting.bakeoff.text import changes_text, epochs_text, metric_text, point_text, rate_text, size_text
from multitask.reporting.figures import IntervalGap
from multitask.reporting.study import plots
from multitask.reporting.study.plots import Interval
from multitask.reporting.study.text import time_text, value_text
from multitask.reporting.text import count_text, interval_text, points_text, score_text
from multitask.reporting.views import Cell, PlotView, Row, Table

_LETTERS = 24  # of a contender's name in a plot


@dataclass(frozen=True)
class PlottedTable:
    """Rows, and a plot of what is in them; None where nothing could be drawn."""

    rows: tuple[Row, ...]
    plot: Markup | None


@dataclass(frozen=True)
class ScoresView(PlottedTable):
    """The columns of the scores that are known of any contender, beside."""

    heads: tuple[str, ...]


@dataclass(frozen=True)
class DifferencesView(PlottedTable):
    """The differences to the reference, and with three contenders or more each against each."""

    matrix: Table | None


@dataclass(frozen=True)
class AxisView:
    """The scores by the number of groups that train."""

    plot: Markup
    table: Table


@dataclass(frozen=True)
class CostsView:
    """The costs of each contender: with a column of GPU memory or not, by batches of so many images."""

    rows: tuple[Row, ...]
    peaks: bool
    batches: str


@dataclass(frozen=True)
class ContenderView:
    """A contender's changes of the base, and notes on it."""

    name: str
    changes: str
    notes: str


def differences(report: BakeoffReport) -> DifferencesView:
    """Every contender less the reference."""
    shown, table = [], []
    for name, row in report.last.scored.items():
        found = row.difference
        if found is None:
            continue
        value, low, high = (100 * number for number in (found.value, found.low, found.high))
        shown.append(Interval(name, value, low, high, full=found.beyond_noise))
        verdicts = ("yes" if sure else "no" for sure in (found.beyond_noise, found.together.beyond_noise))
        table.append(Row.of(name, points_text(found.value), _gap_text(found), *verdicts))
    matrix = report.last.matrix
    return DifferencesView(
        rows=tuple(table),
        plot=_intervals(shown, "points", "forest", zero=True),
        matrix=None
        if len(matrix) < 3
        else Table(
            tuple(matrix), tuple(Row(name, tuple(map(_matrix_cell, row.values()))) for name, row in matrix.items())
        ),
    )


def _matrix_cell(found: IntervalGap | None) -> Cell:
    if found is None:
        return Cell(points_text(None))
    return Cell(points_text(found.value), strong=found.beyond_noise, title=f"95% {_gap_text(found)}")


def scores(report: BakeoffReport) -> ScoresView:
    """Every contender's scores, those of the tasks too; one that is known of none has no column."""
    rows = report.last.scored.values()
    columns = {"joint macro-F1": [row.joint for row in rows], "joint accuracy": [row.accuracy for row in rows]}
    columns |= {f"{task} macro-F1": [row.tasks[task] for row in rows] for task in report.tasks}
    columns = {head: figures for head, figures in columns.items() if any(figures)}
    table = [
        Row(name, tuple(_score_cell(figures[place]) for figures in columns.values()), strong=name == report.reference)
        for place, name in enumerate(report.last.scored)
    ]
    shown = [
        _of(name, row.metric, report, [run.score for run in row.runs if run.score is not None])
        for name, row in report.last.scored.items()
    ]
    plot = _intervals(shown, metric_text(report.metric), "scores-plot")
    return ScoresView(tuple(table), plot, tuple(columns))


def tasks(report: BakeoffReport) -> list[PlotView]:
    """A plot per task."""
    found = []
    for place, task in enumerate(report.tasks):
        shown = [_of(name, row.tasks[task], report) for name, row in report.last.scored.items()]
        plot = _intervals(shown, f"{task} macro-F1", f"task{place}")
        if plot is not None:
            found.append(PlotView(task, plot))
    return found


def unseen(report: BakeoffReport) -> list[Row]:
    """The scores on classes that were held out of training."""
    found = []
    for name, row in report.last.scored.items():
        cell = _score_cell(row.unseen)
        found.append(Row.of(name, cell.text, cell.note or "–"))
    return found


def axis(report: BakeoffReport) -> AxisView:
    """The scores by the number of groups that train."""
    curves, table = [], []
    trained = groups_to_train(report.points, report.reference)
    sizes = tuple(trained[point.point] for point in report.points)
    for name in report.last.contenders:
        at = [point.scored.get(name) for point in report.points]
        curves.append(
            SizeCurve(
                name,
                sizes,
                tuple(row.metric.value if row else None for row in at),
                tuple(row.metric.ci[0] if row else None for row in at),
                tuple(row.metric.ci[1] if row else None for row in at),
                name == report.reference,
            )
        )
        table.append(Row(name, tuple(map(_axis_cell, at)), strong=name == report.reference))
    metric = metric_text(report.metric)
    words = "; ".join(f"{curve.name} {', '.join(score_text(value) for value in curve.values)}" for curve in curves)
    label = f"{metric} with {', '.join(map(str, sizes))} groups to train: {words}"
    heads = tuple(point_text(point.point) for point in report.points)
    plot = Markup(by_size(curves, ylabel=metric, key="sizes-plot", label=label))
    return AxisView(plot, Table(heads, tuple(table)))


def _axis_cell(row: ScoredContender | None) -> Cell:
    if row is None:
        return Cell(score_text(None))
    found = row.difference
    return Cell(
        score_text(row.metric.value), "" if found is None else f"{points_text(found.value)} ({_gap_text(found)})"
    )


def costs(report: BakeoffReport) -> CostsView:
    """Memory, epochs, time and speed."""
    scored = report.last.scored
    peaks = any(row.cuda_peak_bytes for row in scored.values())
    table = []
    for contender in report.contenders:
        row, memory = scored.get(contender.name), contender.training_memory
        if row is None:
            continue
        cells = [count_text(row.num_parameters), size_text(memory.total), size_text(memory.activations)]
        cells += [] if not peaks else [size_text(row.cuda_peak_bytes) if row.cuda_peak_bytes else "–"]
        cells += [epochs_text(row.epochs), count_text(row.images_seen), time_text(row.seconds)]
        cells += [rate_text(row.train_images_per_s), rate_text(contender.inference_images_per_s)]
        table.append(Row.of(contender.name, *cells))
    batches = sorted({contender.training_memory.batch_size for contender in report.contenders})
    return CostsView(tuple(table), peaks, " or ".join(map(str, batches)))


def runs(report: BakeoffReport) -> list[Table]:
    """Per point a table of every seed's score; differences to the reference's run with the same seed."""
    found = []
    for point in report.points:
        base = [run.score for run in point.scored[report.reference].runs]
        rows = []
        for name, row in point.scored.items():
            pairs = zip((run.score for run in row.runs), base, strict=True)
            compared = name != report.reference
            rows.append(Row(name, tuple(_run_cell(one, other, compared) for one, other in pairs)))
        found.append(Table((), tuple(rows), point_text(point.point)))
    return found


def _run_cell(score: float | None, base: float | None, compared: bool) -> Cell:
    gap = None if score is None or base is None else score - base
    return Cell(score_text(score), points_text(gap) if compared else "")


def tuning(report: BakeoffReport) -> Table:
    """The score of each combination of the tuned values."""
    first = next(row.tuning for row in report.contenders if row.tuning)
    heads = (", ".join(f"{key} {value_text(value)}" for key, value in one.values.items()) for one in first)
    rows = (
        Row(row.name, tuple(Cell(score_text(one.score), strong=one.values == row.tuned) for one in row.tuning))
        for row in report.contenders
    )
    return Table(tuple(heads), tuple(rows))


def contenders(report: BakeoffReport) -> list[ContenderView]:
    """The changes of the base that each contender makes."""
    failures = report.last.failures
    found = []
    for row in report.contenders:
        notes = []
        if row.config != report.base:
            notes.append(f"of {row.config}")
        if row.answered_from:
            notes.append(f"the networks of {row.answered_from}, answered by another rule")
        if row.name in failures:
            notes.append(f"failed: {failures[row.name]}")
        found.append(ContenderView(row.name, changes_text(row), "; ".join(notes)))
    return found


def _gap_text(found: IntervalGap) -> str:
    return f"{points_text(found.low)} to {points_text(found.high)}"


def _score_cell(figure: PassFigure | None) -> Cell:
    if figure is None:
        return Cell(score_text(None))
    return Cell(score_text(figure.value), interval_text(figure.ci))


def _intervals(rows: Sequence[Interval], xlabel: str, key: str, zero: bool = False) -> Markup | None:
    if all(row.value is None for row in rows):
        return None
    words = "; ".join(f"{row.name} {row.value:.3g}" for row in rows if row.value is not None)
    label = f"{xlabel}, with intervals: {words}"
    return Markup(plots.intervals(rows, xlabel=xlabel, key=key, label=label, zero=zero, letters=_LETTERS))


def _of(name: str, figure: PassFigure | None, report: BakeoffReport, single: Sequence[float] = ()) -> Interval:
    if figure is None:
        return Interval(name, None)
    low, high = figure.ci
    return Interval(name, figure.value, low, high, tuple(single), strong=name == report.reference)
