"""Curves over epochs as an inline SVG, drawn at the width of a phone's page; a wider page shows it larger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.ticker import MaxNLocator

from multitask.reporting.svg import (
    CHARACTER_PX,
    INK,
    LEFT_PX,
    PALETTE,
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

MARKERS = "osD^vP"
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), (0, (10, 3)), (0, (1, 1)))
JOINT = -1  # the style of the joint score: the text's own colour

_ABOVE = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}


@dataclass(frozen=True)
class Line:
    """One curve: a value per epoch, None where there is none.

    ``style`` is a place in the palette, or ``JOINT``. ``stroke`` tells two curves of one style apart; a dashed one has
    open marks. ``"own"`` is the dash of the style, which tells styles apart where colours do not.
    """

    name: str
    values: tuple[float | None, ...]
    style: int
    stroke: Literal["own", "solid", "dashed"] = "own"


def learning_curves(
    epochs: Sequence[int],
    lines: Sequence[Line],
    *,
    ylabel: str,
    key: str,
    label: str,
    best_epoch: int | None = None,
    level: float | None = None,
    height_px: int = 264,
) -> str:
    """Values against epochs, every line named at its end, the epoch that was kept marked.

    Args:
        epochs: the x axis.
        lines: each with as many values as there are epochs; a line without any value is left out.
        ylabel: what is plotted, with its unit if it has one.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words, for those who do not see it.
        best_epoch: where to draw the mark, if anywhere.
        level: a value to compare with, where a thin line is drawn.
        height_px: the plot's height.
    """
    lines = [line for line in lines if any(value is not None for value in line.values)]
    right = 24 + (CHARACTER_PX + 0.4) * max((len(shorten(line.name, 16)) for line in lines), default=0)
    with drawing():
        fig = new_figure(WIDTH_PX, height_px)
        inner_px = height_px - 82
        axes = place_axes(fig, LEFT_PX, 40, WIDTH_PX - LEFT_PX - right, inner_px)
        strokes = {"solid": "-", "dashed": (0, (3, 2))}
        ends = []
        for line in lines:
            colour = INK if line.style == JOINT else PALETTE[line.style % len(PALETTE)]
            values = np.array([np.nan if value is None else value for value in line.values], dtype=float)
            axes.plot(
                epochs,
                values,
                color=colour,
                linewidth=2.4 if line.style == JOINT else 1.6,
                linestyle=strokes.get(line.stroke, DASHES[max(line.style, 0) % len(DASHES)]),
                marker="s" if line.style == JOINT else MARKERS[line.style % len(MARKERS)],
                markersize=5,
                markerfacecolor=PAPER if line.stroke == "dashed" else colour,
                markevery=max(1, len(epochs) // 12),
                clip_on=False,
                zorder=4 if line.style == JOINT else 3,
            )
            last = int(np.flatnonzero(np.isfinite(values))[-1])
            ends.append((line, colour, float(epochs[last]), float(values[last])))
        if level is not None:
            axes.axhline(level, color=INK, linewidth=0.9, alpha=0.6, zorder=1)
        low, high = axes.get_ylim()
        axes.set_ylim(low, high)
        axes.set_xlim(min(epochs) - 0.2, max(epochs) + 0.2)
        name_ends(axes, ends, inner_px)
        if best_epoch is not None:
            axes.axvline(best_epoch, color=INK, linewidth=0.9, alpha=0.6, zorder=1)
            side = "right" if best_epoch > (min(epochs) + max(epochs)) / 2 else "left"
            axes.annotate(f"kept: epoch {best_epoch}", (best_epoch, 1), (0, 4), **_ABOVE, ha=side, fontsize=SMALL_PX)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        score_ticks(axes.yaxis, 6)
        axes.set_xlabel("epoch")
        name_y(axes, ylabel, LEFT_PX, lift=23)
        return to_svg(fig, key, label)


def name_ends(axes: Any, ends: Sequence[tuple[Line, str, float, float]], height_px: float) -> None:
    """Each line's name beside its last value; names that would overlap are moved apart."""
    low, high = axes.get_ylim()
    at = [(value - low) / (high - low) * height_px for *_, value in ends]
    for (line, colour, epoch, value), moved in zip(ends, _spread(at, 14, height_px), strict=True):
        target = (1, moved / height_px)
        axes.annotate(
            shorten(line.name, 16),
            (epoch, value),
            xytext=target,
            textcoords=axes.transAxes
            + matplotlib.transforms.ScaledTranslation(14 / 72, 0, axes.figure.dpi_scale_trans),
            va="center",
            fontweight="bold" if line.style == JOINT else "normal",
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 5},
        )


def _spread(at: Sequence[float], gap: float, high: float) -> list[float]:
    """Places near ``at``, in its order, at least ``gap`` apart and, where there is room, not above ``high``."""
    order = sorted(range(len(at)), key=at.__getitem__)
    places = list(at)
    for before, here in pairwise(order):
        places[here] = max(places[here], places[before] + gap)
    ceiling = high + gap / 2
    for here in reversed(order):
        places[here] = min(places[here], ceiling)
        ceiling = places[here] - gap
    return places
