"""A run report's plots, each an inline SVG.

A plot is drawn at the width of a phone's page; a wider page shows it larger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from multitask.evaluation.scores import ReliabilityBin
from multitask.reporting.svg import (
    CHARACTER_PX,
    INK,
    LEFT_PX,
    PALETTE,
    PAPER,
    SMALL_PX,
    WIDTH_PX,
    drawing,
    name_rows,
    name_y,
    new_figure,
    place_axes,
    score_ticks,
    to_svg,
)
from multitask.reporting.text import score_text, shorten

HATCHES = ("", "//////", "......", "xxxxxx", "------", "++++++")
SHADE_POWER = 0.6  # a row share of .05 must still be seen

_BARE = {"xycoords": "data", "textcoords": "offset points"}
_LEVEL = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}


def reliability(bins: Sequence[ReliabilityBin], *, key: str, label: str) -> str:
    """Accuracy against confidence, bin by bin, above the number of images in each bin.

    Args:
        bins: in order.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words.
    """
    full = [row for row in bins if row.count and row.confidence is not None and row.accuracy is not None]
    counts = [row.count for row in bins]
    with drawing():
        fig = new_figure(WIDTH_PX, 376)
        inner_px = WIDTH_PX - LEFT_PX - 12
        axes = place_axes(fig, LEFT_PX, 26, inner_px, 216)
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (4, 3)), alpha=0.6)
        axes.plot(
            [row.confidence for row in full],
            [row.accuracy for row in full],
            color=PALETTE[0],
            linewidth=1.4,
            clip_on=False,
        )
        axes.scatter(
            [row.confidence for row in full],
            [row.accuracy for row in full],
            s=[14 + 90 * row.count / max(counts) for row in full],
            color=PALETTE[0],
            edgecolor=PAPER,
            clip_on=False,
            zorder=3,
        )
        axes.set(xlim=(0, 1), ylim=(0, 1))
        name_y(axes, "accuracy (share of the bin that is right)", LEFT_PX)
        below = place_axes(fig, LEFT_PX, 293, inner_px, 42)
        below.bar(
            [row.low for row in bins],
            counts,
            width=[(row.high - row.low) * 0.88 for row in bins],
            align="edge",
            color=PALETTE[0],
        )
        below.set(xlim=(0, 1), ylim=(0, max([*counts, 1])))
        below.set_yticks([0, max([*counts, 1])])
        below.set_xlabel("confidence (probability of the predicted class)")
        name_y(below, "images in the bin", LEFT_PX, lift=10)
        for axis in (axes.xaxis, axes.yaxis, below.xaxis):
            score_ticks(axis, 5)
        return to_svg(fig, key, label)


def distribution(names: Sequence[str], splits: Mapping[str, Sequence[int]], *, key: str, label: str) -> str:
    """Each class's share of every split, the splits' bars side by side, the counts at their ends.

    Args:
        names: the classes, C of them.
        splits: per split, C counts.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words.
    """
    left = 10 + CHARACTER_PX * max(len(shorten(name)) for name in names)
    row_px = 13 * len(splits) + 9
    with drawing():
        fig = new_figure(WIDTH_PX, row_px * len(names) + 72)
        axes = place_axes(fig, left, 30, WIDTH_PX - left - 44, row_px * len(names))
        for place, (split, counts) in enumerate(splits.items()):
            shares = 100 * np.asarray(counts, dtype=float) / max(sum(counts), 1)
            rows = np.arange(len(names)) + ((place + 0.5) * 13 + 4.5) / row_px - 0.5
            bars = _bars(axes, rows, shares, 10 / row_px, place, label=shorten(split))
            for bar, count in zip(bars, counts, strict=True):
                end = (bar.get_width(), bar.get_y() + bar.get_height() / 2)
                axes.annotate(f"{count:,}", end, (4, -0.5), **_BARE, va="center", fontsize=SMALL_PX)
        name_rows(axes, [shorten(name) for name in names], left)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))
        axes.set_xlabel("share of the split’s labelled images")
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, borderaxespad=0.2, handlelength=1.6
        )
        return to_svg(fig, key, label)


def attribution(
    lost: Mapping[str, float | None], gains: Mapping[str, float | None], *, absent: float | None, key: str, label: str
) -> str:
    """Each task's share of the lost joint macro-F1, beside what a perfect answer to it would win alone.

    Args:
        lost: per task, its Shapley share of the loss, in the order of the palette.
        gains: per task, the joint macro-F1's rise if it alone were always answered right.
        absent: the share lost to classes that have no image, which is no task's doing.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words.
    """
    colours = {name: PALETTE[place % len(PALETTE)] for place, name in enumerate(lost)}
    rows = sorted(((name, value) for name, value in lost.items() if value is not None), key=lambda row: -row[1])
    names = [shorten(name) for name, _ in rows] + ["absent classes"] * bool(absent)
    left = 10 + CHARACTER_PX * max(map(len, names))
    height = 34 * (len(rows) + bool(absent))
    with drawing():
        fig = new_figure(WIDTH_PX, height + 78)
        axes = place_axes(fig, left, 30, WIDTH_PX - left - 52, height)
        values = []
        for place, (name, value) in enumerate(rows):
            axes.barh(place, value, 0.5, color=colours[name])
            gain = gains.get(name)
            if gain is not None:
                axes.plot(gain, place, "o", markersize=8, markerfacecolor=PAPER, markeredgecolor=INK, clip_on=False)
            values.append(value)
        if absent:
            axes.barh(len(rows), absent, 0.5, facecolor="none", edgecolor=INK, hatch="//////", linewidth=0.8)
            values.append(absent)
        for place, value in enumerate(values):
            axes.annotate(score_text(value), (1, place), (46, 0), **_LEVEL, ha="right", va="center")
        axes.annotate("lost", (1, 1), (46, 8), xycoords="axes fraction", textcoords="offset points", ha="right")
        name_rows(axes, names, left)
        axes.axvline(0, color=INK, linewidth=0.9)
        score_ticks(axes.xaxis, 4)
        axes.set_xlabel("joint macro-F1")
        return to_svg(fig, key, label)


def confusion(matrix: Sequence[Sequence[int]], *, key: str, label: str) -> str:
    """A confusion matrix too large for numbers: shaded by row share, right in blue, wrong in orange.

    Args:
        matrix: (C, C) counts; rows are the given class, columns the predicted one.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words.
    """
    counts = np.asarray(matrix, dtype=float)
    rgba = np.empty((*counts.shape, 4))
    rgba[..., :3] = matplotlib.colors.to_rgb(PALETTE[1])
    rgba[np.arange(len(counts)), np.arange(len(counts)), :3] = matplotlib.colors.to_rgb(PALETTE[0])
    rgba[..., 3] = (counts / np.maximum(counts.sum(1, keepdims=True), 1)) ** SHADE_POWER
    edge = len(counts) + 0.5
    with drawing():
        fig = new_figure(640, 650)
        axes = place_axes(fig, 44, 26, 584, 584)
        axes.imshow(rgba, interpolation="none", extent=(0.5, edge, edge, 0.5), aspect="auto", zorder=2)
        axes.spines[["top", "right"]].set_visible(True)
        axes.set_xlabel("predicted (class number)")
        name_y(axes, "given (class number)", 40)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(8, integer=True))
        return to_svg(fig, key, label)


def _bars(axes: Any, rows: np.ndarray, shares: np.ndarray, height: float, place: int, *, label: str) -> Any:
    """Level bars: the first split's solid, the others told apart by their hatch as well as their colour."""
    colour = PALETTE[place % len(PALETTE)]
    return axes.barh(
        rows,
        shares,
        height,
        label=label,
        facecolor=PAPER if place else colour,
        edgecolor=colour,
        linewidth=1,
        hatch=HATCHES[place % len(HATCHES)],
    )
