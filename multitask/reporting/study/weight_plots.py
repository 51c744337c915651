"""Plots of a study's trials over all divisions of the weight between the heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from multitask.reporting.study.trial_marks import TITLE, Mark, ScoreRange, draw_marks
from multitask.reporting.svg import (
    CHARACTER_PX,
    INK,
    LEFT_PX,
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

_EQUAL = (0, (4, 3))
_OFFSET = {"textcoords": "offset points"}
_FRACTION = {"xycoords": "axes fraction"}


def head_weights(
    tasks: Sequence[str],
    trials: Sequence[tuple[Mark, Mapping[str, float]]],
    scores: ScoreRange,
    *,
    ylabel: str,
    key: str,
    label: str,
) -> str:
    """Where the trials lie among all divisions of the weight between the heads, in the colour of their scores.

    Three heads are the corners of a triangle, two the ends of an axis below the score; more have a row each.

    Args:
        tasks: two or more.
        trials: those with a score, and the weight of every task.
        scores: what the colours span.
        ylabel: what the score is.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words.
    """
    shares = [(mark, [weights[task] / sum(weights.values()) for task in tasks]) for mark, weights in trials]
    with drawing():
        if len(tasks) == 2:
            return to_svg(_line(tasks, shares, scores, ylabel), key, label)
        return to_svg((_triangle if len(tasks) == 3 else _strips)(tasks, shares, scores), key, label)


def _line(
    tasks: Sequence[str], shares: Sequence[tuple[Mark, Sequence[float]]], scores: ScoreRange, ylabel: str
) -> Figure:
    fig = new_figure(WIDTH_PX, 268)
    axes = place_axes(fig, LEFT_PX, 24, WIDTH_PX - LEFT_PX - 14, 170)
    axes.axvline(1, color=INK, linewidth=1, linestyle=_EQUAL, alpha=0.6)
    places = [(2 * second, scores.clip(mark.score), mark) for mark, (_, second) in shares if mark.score is not None]
    draw_marks(axes, places, scores)
    axes.set(xlim=(-0.04, 2.04), ylim=scores.limits, xticks=[0, 0.5, 1, 1.5, 2])
    score_ticks(axes.yaxis, 5)
    axes.xaxis.set_major_formatter(lambda weight, _: f"{2 - weight:g} : {weight:g}")
    for x, task, side in ((0, tasks[0], "left"), (1, tasks[1], "right")):
        axes.annotate(
            f"all to {shorten(task, 16)}", (x, 0), (0, -38), **_OFFSET, **_FRACTION, ha=side, fontweight="bold"
        )
    name_y(axes, shorten(ylabel, TITLE), LEFT_PX)
    return fig


def _triangle(tasks: Sequence[str], shares: Sequence[tuple[Mark, Sequence[float]]], scores: ScoreRange) -> Figure:
    corners = np.array([(0, 0), (1, 0), (0.5, np.sqrt(0.75))])
    fig = new_figure(WIDTH_PX, 304)
    side = 270
    axes = place_axes(fig, (WIDTH_PX - side) / 2, 32, side, side * corners[2, 1])
    axes.set(xlim=(0, 1), ylim=(0, corners[2, 1]))
    axes.set_axis_off()
    outline = {"color": INK, "linewidth": 1, "clip_on": False}
    axes.plot(*corners[[0, 1, 2, 0]].T, **outline, alpha=0.6, zorder=2)
    for share in (0.25, 0.5, 0.75):
        for corner in range(3):  # the line on which this corner's head has that share
            ends = [share * corners[corner] + (1 - share) * corners[other] for other in range(3) if other != corner]
            axes.plot(*np.transpose(ends), **outline, alpha=0.16, zorder=1)
    axes.plot(*corners.mean(0), "+", color=INK, markersize=11, zorder=3)
    draw_marks(axes, [(*(np.asarray(share) @ corners), mark) for mark, share in shares], scores)
    for place, task in enumerate(tasks):
        look = {"ha": ("left", "right", "center")[place], "va": "bottom" if place == 2 else "top", "fontweight": "bold"}
        shift = ((-(WIDTH_PX - side) / 2, -8), ((WIDTH_PX - side) / 2, -8), (0, 8))[place]
        axes.annotate(shorten(task, 22), corners[place], shift, **_OFFSET, **look)
    return fig


def _strips(tasks: Sequence[str], shares: Sequence[tuple[Mark, Sequence[float]]], scores: ScoreRange) -> Figure:
    names = [shorten(task, 18) for task in tasks]
    left = 12 + CHARACTER_PX * max(map(len, names))
    fig = new_figure(WIDTH_PX, 44 * len(tasks) + 46)
    axes = place_axes(fig, left, 6, WIDTH_PX - left - 14, 44 * len(tasks))
    axes.axvline(1, color=INK, linewidth=1, linestyle=_EQUAL, alpha=0.6)
    for row in range(len(tasks)):
        places = [(len(tasks) * share[row], row + 0.55 * mark.jitter, mark) for mark, share in shares]
        draw_marks(axes, places, scores)
    name_rows(axes, names, left)
    axes.margins(x=0.05)
    axes.set_xlabel("weight (1 where all heads have the same)")
    return fig
