"""The plots of a study's space: how its settings go with the score, and its tasks' scores with each other.

The colour of a mark or a line is a score's; what it stands for is written beside the plot, on the page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from matplotlib.ticker import FixedFormatter, FixedLocator

from multitask.reporting.study.scales import SettingScale
from multitask.reporting.study.trial_marks import TITLE, Mark, ScoreRange, draw_marks
from multitask.reporting.svg import (
    CHARACTER_PX,
    INK,
    LEFT_PX,
    PAPER,
    SMALL_PX,
    WIDTH_PX,
    drawing,
    name_y,
    new_figure,
    place_axes,
    score_ticks,
    to_svg,
)
from multitask.reporting.text import shorten

_COLUMN_PX = 104  # between two axes of the parallel coordinates
_UNSET = 0.16  # how far below everything else a line passes where the trial does not have the setting
_LINE_PX = 14  # of text
_COLUMN_LETTERS = 13  # of SMALL_PX, bold
_OFFSET = {"textcoords": "offset points"}


def setting_slice(
    scale: SettingScale,
    trials: Sequence[tuple[Mark, Any]],
    scores: ScoreRange,
    *,
    ylabel: str,
    key: str,
    label: str,
) -> str:
    """Score against one setting; trials of one choice are spread a little, so that each is seen.

    Args:
        scale: the setting's.
        trials: those with a score that have the setting, and its value.
        scores: what the vertical axis spans.
        ylabel: what the score is.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words.
    """
    ticks = sorted(scale.ticks(4))
    width = WIDTH_PX - LEFT_PX - 14
    names, num_lines = _tick_names(ticks, width / (1 - scale.start))
    spread = 0.5 * (ticks[1][0] - ticks[0][0] if len(ticks) > 1 else 1) if scale.categorical else 0
    with drawing():
        fig = new_figure(WIDTH_PX, 190 + _LINE_PX * num_lines)
        axes = place_axes(fig, LEFT_PX, 24, width, 156)
        places = []
        for mark, value in trials:
            assert mark.score is not None, mark
            places.append((scale.place(value) + spread * mark.jitter, scores.clip(mark.score), mark))
        draw_marks(axes, places)
        room = 0 if scale.categorical else 0.03
        axes.set(xlim=(scale.start - room, 1 + room), ylim=scores.limits)
        axes.xaxis.set_major_locator(FixedLocator([place for place, _ in ticks]))
        axes.xaxis.set_major_formatter(FixedFormatter(names))
        score_ticks(axes.yaxis, 5)
        name_y(axes, shorten(ylabel, TITLE), LEFT_PX)
        return to_svg(fig, key, label)


def parallel(
    scales: Mapping[str, SettingScale],
    trials: Sequence[tuple[Mark, Mapping[str, Any]]],
    scores: ScoreRange,
    *,
    ylabel: str,
    key: str,
    label: str,
) -> str:
    """A line per trial through its score and all its settings, in the colour of its score; the best's is heavy.

    Args:
        scales: per setting, in the order of the axes.
        trials: those with a score, and their settings; a line passes below the axis of one that it does not have.
        scores: the first axis, and what the colours span.
        ylabel: what the score is.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words.

    Returns:
        An SVG that is wider than a phone's page where there are more than two settings.
    """
    titles = [_title_lines(ylabel), *(_title_lines(name) for name in scales)]
    unset = [any(name not in settings for _, settings in trials) for name in scales]
    start = min((scale.start for scale in scales.values()), default=0.0) - _UNSET * any(unset)
    top = 10 + _LINE_PX * max(map(len, titles))
    faint = max(0.35, min(0.8, 30 / len(trials)))
    height = round(230 * (1 - start))
    with drawing():
        fig = new_figure(parallel_width(len(scales)), top + height + 16)
        axes = place_axes(fig, 8, top, _COLUMN_PX * len(scales) or 1, height)
        axes.set(xlim=(0, len(scales) or 1), ylim=(start, 1))
        axes.set_axis_off()
        for mark, settings in sorted(trials, key=lambda trial: (trial[0].best, scores.share(trial[0].score or 0))):
            assert mark.score is not None, mark
            places = [scores.place(mark.score)]
            for name, scale in scales.items():
                shift = 0.04 * mark.jitter * scale.categorical
                places.append(scale.place(settings[name]) + shift if name in settings else start)
            colour = scores.colour(mark.score)
            look = {"linewidth": 3.4, "zorder": 4} if mark.best else {"linewidth": 1.2, "alpha": faint, "zorder": 3}
            axes.plot(range(len(places)), places, color=colour, clip_on=False, **look)
            if mark.base:
                dashes = {"color": INK, "linewidth": 1.4, "linestyle": (0, (2, 2)), "zorder": 5}
                axes.plot(range(len(places)), places, clip_on=False, **dashes)
        below = [[(start, "not set")] * some for some in unset]
        marked = [scores.ticks(5), *(scale.ticks(5) + more for scale, more in zip(scales.values(), below, strict=True))]
        for column, (title, ticks) in enumerate(zip(titles, marked, strict=True)):
            axes.plot([column, column], [0, 1], color=INK, linewidth=1, alpha=0.6, zorder=4)
            above = {"fontweight": "bold", "va": "bottom", "linespacing": 1.15}
            axes.annotate("\n".join(title), (column, 1), (-4, 8), **_OFFSET, **above, fontsize=SMALL_PX)
            for place, text in ticks:
                box = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.75, "pad": 0.6}
                beside = {"va": "center", "fontsize": SMALL_PX, "bbox": box, "zorder": 6}
                axes.annotate(shorten(text, 14), (column, place), (5, 0), **_OFFSET, **beside)
                axes.plot(column, place, "_", color=INK, markersize=6, clip_on=False, zorder=6)
        return to_svg(fig, key, label)


def parallel_width(num_settings: int) -> int:
    """The width in pixels of parallel coordinates, below which their names would touch."""
    return max(_COLUMN_PX * (num_settings + 1) + 4, WIDTH_PX)


def trade_off(
    trials: Sequence[tuple[Mark, float, float]],
    scores: ScoreRange | None,
    *,
    xlabel: str,
    ylabel: str,
    key: str,
    label: str,
    maximize: tuple[bool, bool] = (True, True),
) -> str:
    """Two scores against each other, with a line along the finished trials that no other beats in both.

    Args:
        trials: with their two scores.
        scores: what the colours span; None where they stand for the trials' states.
        xlabel: the first score's name.
        ylabel: the second's.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words.
        maximize: of each score, whether more is better.
    """
    front = pareto_front([(x, y) for mark, x, y in trials if mark.state == "finished"], maximize)
    with drawing():
        fig = new_figure(WIDTH_PX, 306)
        axes = place_axes(fig, LEFT_PX, 24, WIDTH_PX - LEFT_PX - 16, 236)
        steps = "steps-pre" if maximize[0] else "steps-post"
        if front:
            axes.plot(*zip(*front, strict=True), color=INK, linewidth=1.2, alpha=0.7, drawstyle=steps, zorder=2)
        draw_marks(axes, [(x, y, mark) for mark, x, y in trials], scores)
        axes.margins(0.06)
        for axis in (axes.xaxis, axes.yaxis):
            score_ticks(axis, 5)
        axes.set_xlabel(shorten(xlabel, TITLE))
        name_y(axes, shorten(ylabel, TITLE), LEFT_PX)
        return to_svg(fig, key, label)


def pareto_front(points: Sequence[tuple[float, float]], maximize: tuple[bool, bool]) -> list[tuple[float, float]]:
    """The points that no other beats or equals in both coordinates, by rising first coordinate."""
    front: list[tuple[float, float]] = []
    by_goodness = sorted(
        points, key=lambda point: tuple(-value if more else value for value, more in zip(point, maximize, strict=True))
    )
    for point in by_goodness:
        if not front or (point[1] > front[-1][1] if maximize[1] else point[1] < front[-1][1]):
            front.append(point)
    return sorted(front)


def _title_lines(name: str) -> list[str]:
    """A config path on several lines, broken where a reader would break it."""
    lines = [""]
    for part in re.split(r"(?<=[. _])", name):
        if lines[-1] and len(lines[-1] + part) > _COLUMN_LETTERS:
            lines.append("")
        lines[-1] += part
    return [shorten(line, _COLUMN_LETTERS) for line in lines]


def _tick_names(ticks: Sequence[tuple[float, str]], width: float) -> tuple[list[str], int]:
    """The ticks' names, and on how many lines: every other one a line lower where they would touch."""
    gap = min((width * (there - here) for (here, _), (there, _) in pairwise(ticks)), default=width)
    letters = int(gap / CHARACTER_PX) - 1
    if all(len(name) <= letters for _, name in ticks):
        return [name for _, name in ticks], 1
    return ["\n" * (place % 2) + shorten(name, max(2 * letters, 3)) for place, (_, name) in enumerate(ticks)], 2
