"""The promises of predictions on a run's page: prediction sets, and the error where the rest is asked of a human."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from markupsafe import Markup

from multitask.evaluation.promise_schema import AskScores, RiskCurveScores, SelectiveScores, SetScores
from multitask.evaluation.report_schema import RunReport
from multitask.evaluation.selective import CERTAINTY
from multitask.labels import JOINT as JOINT_NAME
from multitask.reporting.run.curves import DASHES, JOINT, Line, name_ends
from multitask.reporting.svg import (
    CHARACTER_PX,
    INK,
    LEFT_PX,
    PALETTE,
    WIDTH_PX,
    drawing,
    name_y,
    new_figure,
    place_axes,
    score_ticks,
    to_svg,
)
from multitask.reporting.text import interval_text, score_text, shorten
from multitask.utils.spelling import plural

T = TypeVar("T")


@dataclass(frozen=True)
class SetRow:
    """A labelling's sets of one coverage, in words; ``first`` of its labelling."""

    name: str
    first: bool
    coverage: str
    observed: str
    observed_interval: str
    size: str
    singles: str
    own: str


@dataclass(frozen=True)
class AskRow:
    """The answers at a named risk, in words."""

    risk: str
    answered: str
    error: str
    error_interval: str


@dataclass(frozen=True)
class PromisesView:
    """Sets and abstaining: how they were measured, a row for each, the curves in words, and drawn."""

    how: str
    sets: tuple[SetRow, ...]
    adaptive: tuple[SetRow, ...]
    note: str
    risk_how: str
    asks: tuple[AskRow, ...]
    curves: str
    plot: Markup | None


def promises_view(report: RunReport) -> PromisesView | None:
    """The promises as the page shows them; None where the report says nothing of them."""
    if not report.sets and not report.selective:
        return None
    cross_fitted = report.decode_rules is not None and report.decode_rules.cross_fitted
    where = "other groups of this split" if cross_fitted else "the groups that validated the run"
    sets, selective = report.sets or {}, report.selective
    unknown = any(row.observed is None for rows in sets.values() for row in rows)
    return PromisesView(
        how=(
            "A set of labels is promised to hold the right one for an image of a new group, with the coverage that is "
            f"named (split conformal prediction over groups). Each group’s sets are calibrated by {where}; every "
            "group counts once, and intervals are 95%, over groups."
        ),
        sets=_set_rows(report, sets),
        adaptive=_set_rows(report, report.adaptive_sets or {}),
        note="A dash: too few groups calibrate such sets." if unknown else "",
        risk_how=(
            f"Only images of some confidence are answered, the rest is asked of a human. The confidence is proven by "
            f"{where}: with a probability of {score_text(CERTAINTY, 2)} the error among the answered is at most the "
            "risk that is named."
        ),
        asks=() if selective is None else tuple(map(_ask_row, selective.at)),
        curves="" if selective is None else _curves_in_words(selective.curves),
        plot=None if selective is None else Markup(risk_curves(selective.curves, key="risk")),
    )


def _curves_in_words(curves: Mapping[str, RiskCurveScores]) -> str:
    words = f"The area under each curve (AURC) is the mean error over all shares: {areas_in_words(curves)}."
    return f"{words} The heavy line is the class." if JOINT_NAME in curves else words


def areas_in_words(curves: Mapping[str, RiskCurveScores]) -> str:
    """``joint .120 (.100 to .140), mask .020``: the areas under the curves, with the intervals that are known."""
    words = []
    for name, curve in _joint_first(curves):
        around = interval_text(curve.aurc_ci)
        words.append(f"{name} {score_text(curve.aurc)}" + (f" ({around})" if around else ""))
    return ", ".join(words)


def sets_in_words(sets: Mapping[str, Sequence[SetScores]], coverage: float) -> str:
    """The sets of one coverage in a line for the console; empty where none could be measured."""
    found = [(name, row) for name, rows in _joint_first(sets) for row in rows if row.coverage == coverage]
    words = [
        f"{name} {row.mean_size:.2f}, {score_text(row.observed)}" for name, row in found if row.mean_size is not None
    ]
    if not words:
        return ""
    promised = score_text(coverage, 2)
    return f"sets that promise {promised}: size on average, share that holds the right label: {'; '.join(words)}"


def asks_in_words(selective: SelectiveScores) -> str:
    """The answers at each named risk in a line for the console; empty where no risk is kept."""
    words = [
        f"{score_text(row.answered)} at {score_text(row.max_risk, 2)} (error {score_text(row.error)})"
        for row in selective.at
        if row.error is not None
    ]
    return f"share answered at a risk, the rest asked: {', '.join(words)}" if words else ""


def risk_curves(curves: Mapping[str, RiskCurveScores], *, key: str) -> str:
    """Error against the share that is answered, a line for each labelling, named at its end.

    Args:
        curves: per task, and for ``joint``, at the same shares.
        key: a prefix for the SVG's ids, unique on the page.
    """
    names = [name for name in curves if name != JOINT_NAME]
    right = 24 + (CHARACTER_PX + 0.4) * max(len(shorten(name, 16)) for name in curves)
    label = f"Error among the answered against the share answered; area under the curve: {areas_in_words(curves)}"
    with drawing():
        fig = new_figure(WIDTH_PX, 264)
        axes = place_axes(fig, LEFT_PX, 40, WIDTH_PX - LEFT_PX - right, 182)
        ends = []
        for name, curve in curves.items():
            style = JOINT if name == JOINT_NAME else names.index(name)
            colour = INK if style == JOINT else PALETTE[style % len(PALETTE)]
            shares, errors = [row.answered for row in curve.points], [row.error for row in curve.points]
            axes.plot(
                shares,
                errors,
                color=colour,
                linewidth=2.4 if style == JOINT else 1.6,
                linestyle="-" if style == JOINT else DASHES[style % len(DASHES)],
                clip_on=False,
            )
            ends.append((Line(name, tuple(errors), style), colour, shares[-1], errors[-1]))
        axes.set_xlim(0, 1)
        axes.set_ylim(0, max(axes.get_ylim()[1], 0.01))
        name_ends(axes, ends, 182)
        score_ticks(axes.xaxis, 5)
        score_ticks(axes.yaxis, 6)
        axes.set_xlabel("share answered, the most confident first")
        name_y(axes, "error among the answered", LEFT_PX, lift=23)
        return to_svg(fig, key, label)


def _set_rows(report: RunReport, sets: Mapping[str, Sequence[SetScores]]) -> tuple[SetRow, ...]:
    return tuple(
        _set_row(name, row, place == 0, len(report.labellings[name].classes))
        for name, rows in sets.items()
        for place, row in enumerate(rows)
    )


def _set_row(name: str, row: SetScores, first: bool, num_labels: int) -> SetRow:
    low, high = row.mean_size_ci or (0.0, 0.0)
    return SetRow(
        name=name,
        first=first,
        coverage=score_text(row.coverage, 2),
        observed=score_text(row.observed),
        observed_interval=interval_text(row.observed_ci) or "–",
        size="–" if row.mean_size is None else f"{row.mean_size:.2f} ({low:.2f} to {high:.2f})",
        singles=score_text(row.singles),
        own=f"{row.num_own:,} of {plural(num_labels, 'label', 'labels')}",
    )


def _ask_row(row: AskScores) -> AskRow:
    return AskRow(
        risk=score_text(row.max_risk, 2),
        answered=score_text(row.answered),
        error=score_text(row.error),
        error_interval=interval_text(row.error_ci) or "–",
    )


def _joint_first(found: Mapping[str, T]) -> list[tuple[str, T]]:
    return sorted(found.items(), key=lambda pair: pair[0] != JOINT_NAME)
