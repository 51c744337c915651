"""The plots of a study's course and end: scores trial by trial, learning curves, importances, confirmed scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

from multitask.reporting.run.curves import JOINT, Line, name_ends
from multitask.reporting.study.trial_marks import TITLE, Mark, ScoreRange, draw_marks
from multitask.reporting.svg import (
    CHARACTER_PX,
    INK,
    LEFT_PX,
    PALETTE,
    PAPER,
    WIDTH_PX,
    drawing,
    name_rows,
    name_y,
    new_figure,
    place_axes,
    score_ticks,
    to_svg,
)
from multitask.reporting.text import shorten

_BASE = 1  # the base's place in the palette
_STOPPED = (0, (3, 2))
_CUT_SHORT = ("pruned", "failed")
_LEVEL = {"xycoords": ("axes fraction", "data")}


@dataclass(frozen=True)
class Curve:
    """One trial's learning curve: the epochs after which it was scored, and its scores."""

    mark: Mark
    epochs: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Interval:
    """A value with its interval in a row of its own.

    Attributes:
        name: the row's.
        value: a dot; None leaves the row empty.
        low: where the interval begins; None where there is none.
        high: where it ends.
        single: values of which this one is made, as small ticks.
        full: a full dot; else an open one.
        strong: the row's name is bold.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    single: tuple[float, ...] = ()
    full: bool = True
    strong: bool = False


def history(marks: Sequence[Mark], scores: ScoreRange, *, ylabel: str, key: str, label: str) -> str:
    """Every trial's score by its number, with the best finished score so far; failed trials stand at the foot.

    Args:
        marks: the trials; those without a score stand at the foot if they failed, and are left out if not.
        scores: what the vertical axis spans, and which way is better.
        ylabel: what the score is.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words, for those who do not see it.
    """
    scored = [(mark, scores.clip(mark.score)) for mark in marks if mark.score is not None and mark.state != "failed"]
    with drawing():
        fig = new_figure(WIDTH_PX, 280)
        axes = place_axes(fig, LEFT_PX, 28, WIDTH_PX - LEFT_PX - 14, 206)
        finished = sorted((mark.number, score) for mark, score in scored if mark.state == "finished")
        if finished:
            better = np.maximum if scores.maximize else np.minimum
            numbers, values = zip(*finished, strict=True)
            last = max(mark.number for mark in marks)  # the step goes on below the trials that ended without a score
            bests = better.accumulate(values)
            axes.plot([*numbers, last], [*bests, bests[-1]], color=INK, linewidth=1.4, drawstyle="steps-post", zorder=2)
        draw_marks(axes, [(mark.number, score, mark) for mark, score in scored])
        failed = [(mark.number, 0.0, mark) for mark in marks if mark.state == "failed"]
        draw_marks(axes, failed, transform=axes.get_xaxis_transform())
        first, last = min(mark.number for mark in marks), max(mark.number for mark in marks)
        room = max(0.4, (last - first) * 0.02)
        axes.set(xlim=(first - room, last + room), ylim=scores.limits)
        axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, min_n_ticks=1))
        score_ticks(axes.yaxis, 6)
        axes.set_xlabel("trial")
        name_y(axes, shorten(ylabel, TITLE), LEFT_PX)
        return to_svg(fig, key, label)


def curves(trials: Sequence[Curve], *, ylabel: str, key: str, label: str, height_px: int = 264) -> str:
    """Every trial's score by epoch: thin, or heavy and named for the best and the base; dashed if it was stopped.

    Args:
        trials: each with at least one value. Where several are the best, none of them is named.
        ylabel: what is plotted.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words.
        height_px: the plot's height.
    """
    only_best = sum(trial.mark.best for trial in trials) == 1
    faint = max(0.15, min(0.5, 16 / len(trials)))  # the more lines, the fainter, or they hide what is heavy
    named = [trial for trial in trials if trial.mark.base or (trial.mark.best and only_best)]
    thin = [trial for trial in trials if trial not in named]
    names = ["base, best" if t.mark.base and t.mark.best else "base" if t.mark.base else "best" for t in named]
    right = 24 + (CHARACTER_PX + 0.4) * max(map(len, names), default=0)
    with drawing():
        fig = new_figure(WIDTH_PX, height_px)
        inner_px = height_px - 74
        axes = place_axes(fig, LEFT_PX, 28, WIDTH_PX - LEFT_PX - right, inner_px)
        for colour, dashes, states in ((INK, _STOPPED, _CUT_SHORT), (PALETTE[0], "-", ("finished", "running"))):
            lines = [_points(trial) for trial in thin if trial.mark.state in states]
            axes.add_collection(LineCollection(lines, colors=colour, linestyles=[dashes], linewidths=1, alpha=faint))
        ends = []
        for name, trial in zip(names, named, strict=True):
            colour = PALETTE[_BASE] if trial.mark.base else INK
            dashes = _STOPPED if trial.mark.state in _CUT_SHORT else "-"
            axes.plot(trial.epochs, trial.values, color=colour, linewidth=2.4, linestyle=dashes, zorder=4)
            style = JOINT if trial.mark.best else _BASE
            ends.append((Line(name, (), style), colour, float(trial.epochs[-1]), trial.values[-1]))
        # An end is marked where a curve was cut short, where it is named, and where it is no more than a point.
        marked = [t for t in trials if t in named or t.mark.best or t.mark.state in _CUT_SHORT or len(t.epochs) == 1]
        draw_marks(axes, [(trial.epochs[-1], trial.values[-1], trial.mark) for trial in marked])
        axes.autoscale_view()
        axes.set_ylim(axes.get_ylim())
        axes.set_xlim(min(t.epochs[0] for t in trials) - 0.2, max(t.epochs[-1] for t in trials) + 0.2)
        name_ends(axes, ends, inner_px)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        score_ticks(axes.yaxis, 6)
        axes.set_xlabel("epoch")
        name_y(axes, shorten(ylabel, TITLE), LEFT_PX)
        return to_svg(fig, key, label)


@dataclass(frozen=True)
class Importance:
    """A setting's share of 1, and in words in which trials it is, where it is not in all."""

    name: str
    share: float
    trials: str = ""


def importances(settings: Sequence[Importance], *, key: str, label: str) -> str:
    """A bar per setting, the most important first, its name above it and its share beside it.

    The bar of a setting that only some trials have is hollow, since its share stands on these alone.

    Args:
        settings: at least one.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words.
    """
    rows = sorted(settings, key=lambda row: -row.share)
    row_px, room_px = 38, 40
    with drawing():
        fig = new_figure(WIDTH_PX, row_px * len(rows) + 8)
        axes = place_axes(fig, 1, 4, WIDTH_PX - room_px - 1, row_px * len(rows))
        fills = [PAPER if row.trials else PALETTE[0] for row in rows]
        places = np.arange(len(rows)) + 0.2
        axes.barh(places, [row.share for row in rows], 0.36, color=fills, edgecolor=PALETTE[0], linewidth=1)
        for place, row in enumerate(rows):
            beside = {"textcoords": "offset points", "va": "center"}
            where = f", {row.trials}" if row.trials else ""
            axes.annotate(shorten(row.name, 48 - len(where)) + where, (0, place - 0.2), (1, -2), **beside)
            axes.annotate(f"{row.share:.0%}", (1, place + 0.2), (room_px, 0), **beside, ha="right", **_LEVEL)
        axes.set(xlim=(0, max(rows[0].share, 0.01)), ylim=(len(rows) - 0.5, -0.5), xticks=[], yticks=[])
        axes.spines["bottom"].set_visible(False)
        return to_svg(fig, key, label)


def intervals(
    rows: Sequence[Interval], *, xlabel: str, key: str, label: str, zero: bool = False, letters: int = 18
) -> str:
    """Values with their intervals, a row each, the first one topmost.

    Args:
        rows: at least one with a value.
        xlabel: what the values are.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words.
        zero: draw the line at 0, on which there is no difference.
        letters: of a row's name at most.
    """
    names = [shorten(row.name, letters) for row in rows]
    left = 12 + (CHARACTER_PX + 0.4) * max(map(len, names))
    with drawing():
        fig = new_figure(WIDTH_PX, 36 * len(rows) + 50)
        axes = place_axes(fig, left, 6, WIDTH_PX - left - 16, 36 * len(rows))
        for place, row in enumerate(rows):
            if row.value is None:
                continue
            if row.low is not None and row.high is not None:
                axes.plot([row.low, row.high], [place, place], color=PALETTE[0], linewidth=3.5, alpha=0.55)
            face = PALETTE[0] if row.full else PAPER
            axes.plot(row.value, place, "o", markersize=9, color=PALETTE[0], markerfacecolor=face, zorder=4)
            axes.plot(row.single, [place + 0.3] * len(row.single), "|", color=INK, markersize=7, alpha=0.7, zorder=3)
        name_rows(axes, names, left)
        for text, row in zip(axes.get_yticklabels(), rows, strict=True):
            text.set_fontweight("bold" if row.strong else "normal")
        if zero:
            axes.axvline(0, color=INK, linewidth=1.1)
        axes.margins(x=0.06)
        score_ticks(axes.xaxis, 5)
        axes.set_xlabel(xlabel)
        return to_svg(fig, key, label)


def _points(trial: Curve) -> list[tuple[int, float]]:
    return list(zip(trial.epochs, trial.values, strict=True))
