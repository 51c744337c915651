"""The plot that only a bake-off has: scores by the number of groups that train."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from multitask.reporting.run.curves import DASHES, JOINT, MARKERS, Line, name_ends
from multitask.reporting.study.trial_marks import TITLE
from multitask.reporting.svg import (
    CHARACTER_PX,
    INK,
    LEFT_PX,
    PALETTE,
    PAPER,
    WIDTH_PX,
    drawing,
    name_y,
    new_figure,
    place_axes,
    score_ticks,
    to_svg,
)
from multitask.reporting.text import shorten

_DODGE = 0.02  # of the axis, between two contenders' intervals at one size
_MARGIN = 0.03  # likewise, between the outermost of them and the axis' ends


@dataclass(frozen=True)
class SizeCurve:
    """A contender's scores at sizes of the training set; None where it has none.

    Attributes:
        name: the contender's.
        sizes: numbers of groups, ascending.
        values: a score for each.
        lows: where its interval begins.
        highs: where it ends.
        reference: drawn in the text's own colour.
    """

    name: str
    sizes: tuple[int, ...]
    values: tuple[float | None, ...]
    lows: tuple[float | None, ...]
    highs: tuple[float | None, ...]
    reference: bool = False


def by_size(curves: Sequence[SizeCurve], *, ylabel: str, key: str, label: str, height_px: int = 300) -> str:
    """Every contender's scores with their intervals against the number of groups, on a logarithmic axis.

    Args:
        curves: at least one with a value.
        ylabel: what is scored.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words, for those who do not see it.
        height_px: the plot's height.
    """
    right = 24 + (CHARACTER_PX + 1.2) * max(len(shorten(curve.name, 16)) for curve in curves)
    sizes = sorted({size for curve in curves for size in curve.sizes})
    spread = math.log(sizes[-1] / sizes[0]) or 1.0
    with drawing():
        fig = new_figure(WIDTH_PX, height_px)
        inner_px = height_px - 74
        axes = place_axes(fig, LEFT_PX, 28, WIDTH_PX - LEFT_PX - right, inner_px)
        axes.set_xscale("log")
        ends: list[tuple[Line, str, float, float]] = []
        others = 0
        for place, curve in enumerate(curves):
            known = [
                (size * math.exp(spread * _DODGE * (place - (len(curves) - 1) / 2)), value, low, high)
                for size, value, low, high in zip(curve.sizes, curve.values, curve.lows, curve.highs, strict=True)
                if value is not None
            ]
            if not known:
                continue
            colour, look = (INK, 0) if curve.reference else (PALETTE[others % len(PALETTE)], others + 1)
            others += not curve.reference
            _draw(axes, known, colour, look)
            style = JOINT if curve.reference else others - 1
            ends.append((Line(curve.name, (), style), colour, known[-1][0], known[-1][1]))
        axes.autoscale_view()
        axes.set_ylim(axes.get_ylim())
        beyond = math.exp(spread * (_DODGE * (len(curves) - 1) / 2 + _MARGIN))
        axes.set_xlim(sizes[0] / beyond, sizes[-1] * beyond)
        name_ends(axes, ends, inner_px)
        axes.xaxis.set_major_locator(FixedLocator(sizes))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        score_ticks(axes.yaxis, 6)
        axes.set_xlabel("groups that train")
        name_y(axes, shorten(ylabel, TITLE), LEFT_PX)
        return to_svg(fig, key, label)


def _draw(axes: Any, points: Sequence[tuple[float, float, float | None, float | None]], colour: str, look: int) -> None:
    marker, dashes = MARKERS[look % len(MARKERS)], DASHES[look % len(DASHES)]
    axes.plot(
        [x for x, *_ in points],
        [value for _, value, *_ in points],
        color=colour,
        linewidth=1.8,
        linestyle=dashes,
        marker=marker,
        markersize=6.5,
        markeredgecolor=PAPER,
        markeredgewidth=0.8,
        zorder=4,
    )
    for x, _, low, high in points:
        if low is not None and high is not None:
            axes.plot([x, x], [low, high], color=colour, linewidth=3, alpha=0.4, zorder=3, solid_capstyle="butt")
