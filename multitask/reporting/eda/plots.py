"""The plots of a data set's page, each an inline SVG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from multitask.reporting.svg import (
    INK,
    PALETTE,
    SMALL_PX,
    WIDTH_PX,
    drawing,
    name_y,
    new_figure,
    place_axes,
    to_svg,
)

_LEFT_PX = 42
_BINS = 40
_MOST_WHOLE = 130  # a bar of its own for each whole number, up to so many


def bin_edges(values: NDArray[np.float64], log: bool = False) -> NDArray[np.float64]:
    """Where bars begin and end: whole numbers of a small range have a bar each, others share 40.

    Args:
        values: (N,), at least one; all above 0 where ``log``.
        log: whether the bars are equally wide on a logarithmic axis.
    """
    low, high = float(values.min()), float(values.max())
    if not log and (values == values.round()).all() and high - low < _MOST_WHOLE:
        return np.arange(low, high + 2) - 0.5
    if low == high:
        low, high = (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
    found: NDArray[np.float64] = np.geomspace(low, high, _BINS + 1) if log else np.linspace(low, high, _BINS + 1)
    return found


def histogram(
    values: NDArray[np.float64],
    *,
    xlabel: str,
    key: str,
    label: str,
    marks: Sequence[float] = (),
    log: bool = False,
) -> str:
    """A histogram of the images by a value.

    Args:
        values: (N,), at least one, all finite; all above 0 where ``log``.
        xlabel: what they are, with their unit.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words, for those who do not see it.
        marks: values at which a line is drawn and named.
        log: whether the axis is logarithmic.
    """
    edges = bin_edges(values, log)
    heights, _ = np.histogram(values, edges)
    with drawing():
        fig = new_figure(WIDTH_PX, 232)
        axes = place_axes(fig, _LEFT_PX, 44, WIDTH_PX - _LEFT_PX - 14, 146)
        # A line between bars that are wide enough for one.
        axes.bar(
            edges[:-1], heights, np.diff(edges) * (0.9 if len(heights) <= 60 else 1), align="edge", color=PALETTE[0]
        )
        if log:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5), numticks=7))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        low, high = min([edges[0], *marks]), max([edges[-1], *marks])
        axes.set_xlim(low, high)
        for mark in marks:
            axes.axvline(mark, color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
            axes.annotate(
                f"{mark:g}",
                (mark, 1),
                (0, 3),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                fontsize=SMALL_PX,
            )
        axes.grid(False, axis="x")
        axes.set_xlabel(xlabel)
        name_y(axes, "images", _LEFT_PX, lift=24 if marks else 8)
        return to_svg(fig, key, label)
