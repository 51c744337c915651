"""The report's plots, each an inline SVG that takes its text colour and its background from the page around it.

Only matplotlib's object interface is used: pyplot keeps global figures and picks a backend by itself. Text stays text:
it can be searched and is set in the page's font. A plot is drawn at about the size it is shown (1 unit = 1 CSS pixel),
which keeps its letters legible on a phone.
"""

from __future__ import annotations

import html
import io
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

INK, PAPER = "#010203", "#fdfcfb"  # stand-ins, replaced by the page's text and background colours in the finished SVG
# Okabe and Ito's colours, ordered so that the first four keep a contrast of 3:1 on white and on near-black.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = "osD^vP"
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), (0, (10, 3)), (0, (1, 1)))
HATCHES = ("", "//////", "......", "xxxxxx", "------", "++++++")
JOINT = -1  # the style of the joint score: the text's own colour
SHADE_POWER = 0.6  # a row share of .05 must still be seen

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "multitask",
    "text.parse_math": False,  # a `$` in a class name is a dollar
    "font.size": 11.5,
    "hatch.linewidth": 0.8,
    **{f"{part}.color": INK for part in ("text", "xtick", "ytick")},
    **{f"axes.{part}color": INK for part in ("edge", "label", "title")},
}
_TAG = re.compile(r"<[^>]*>")
_METADATA = re.compile(r"<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)


@dataclass(frozen=True)
class Line:
    """One curve: a value per epoch, None where there is none; ``style`` is a place in the palette, or ``JOINT``."""

    name: str
    values: tuple[float | None, ...]
    style: int
    dashed: bool = False


def score_text(value: float | None, digits: int = 3) -> str:
    """A score as it is written everywhere in a report: ``.881``, ``1.000``, ``−.003``, and ``–`` for none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{abs(value):.{digits}f}".removeprefix("0")
    return f"−{text}" if value < 0 and float(text) else text


def shorten(name: str, limit: int = 22) -> str:
    """``name`` on one line, of at most ``limit`` characters; both ends are kept, as classes differ at either."""
    name = " ".join(name.split())
    tail = limit // 3
    return name if len(name) <= limit else f"{name[: limit - 1 - tail]}…{name[-tail:]}"


def learning_curves(
    epochs: Sequence[int],
    lines: Sequence[Line],
    *,
    ylabel: str,
    key: str,
    label: str,
    best_epoch: int | None = None,
    size_px: tuple[int, int] = (400, 280),
) -> str:
    """Values against epochs, every line named at its end, the best epoch marked.

    Args:
        epochs: the x axis.
        lines: each with as many values as there are epochs; a line without any value is left out.
        ylabel: what is plotted, with its unit if it has one.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words, for those who do not see it.
        best_epoch: where to draw the mark, if anywhere.
        size_px: width and height.
    """
    lines = [line for line in lines if any(value is not None for value in line.values)]
    width, height = size_px
    right = 24 + 6.4 * max((len(shorten(line.name, 16)) for line in lines), default=0)
    with matplotlib.rc_context(_STYLE):
        fig = _figure(width, height)
        axes = _axes(fig, 40, 40, width - 40 - right, height - 40 - 42)
        ends = []
        for line in lines:
            colour = INK if line.style == JOINT else PALETTE[line.style % len(PALETTE)]
            values = np.array([np.nan if value is None else value for value in line.values], dtype=float)
            axes.plot(
                epochs,
                values,
                color=colour,
                linewidth=2.4 if line.style == JOINT else 1.6,
                linestyle=(0, (3, 2)) if line.dashed else DASHES[max(line.style, 0) % len(DASHES)],
                marker="s" if line.style == JOINT else MARKERS[line.style % len(MARKERS)],
                markersize=5,
                markerfacecolor=PAPER if line.dashed else colour,
                markevery=max(1, len(epochs) // 12),
                clip_on=False,
                zorder=4 if line.style == JOINT else 3,
            )
            last = int(np.flatnonzero(np.isfinite(values))[-1])
            ends.append((line, colour, float(epochs[last]), float(values[last])))
        low, high = axes.get_ylim()
        axes.set_ylim(low, high)
        axes.set_xlim(min(epochs) - 0.2, max(epochs) + 0.2)
        _name_ends(axes, ends, height - 82)
        if best_epoch is not None:
            axes.axvline(best_epoch, color=INK, linewidth=0.9, alpha=0.6, zorder=1)
            side = "right" if best_epoch > (min(epochs) + max(epochs)) / 2 else "left"
            axes.annotate(f"best: epoch {best_epoch}", (best_epoch, 1), (0, 4), **_OFFSET_X, ha=side, fontsize=10)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        _score_ticks(axes.yaxis, 6)
        axes.set_xlabel("epoch")
        _name_y(axes, ylabel, lift=22)
        return _svg(fig, key, label)


def reliability(bins: Sequence[Mapping[str, Any]], *, key: str, label: str) -> str:
    """Accuracy against confidence, bin by bin, above the number of pictures in each bin.

    Args:
        bins: ``low``, ``high``, ``count``, and ``confidence`` and ``accuracy``, which are None in an empty bin.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words.
    """
    full = [row for row in bins if row["count"] and row["confidence"] is not None and row["accuracy"] is not None]
    counts = [row["count"] for row in bins]
    with matplotlib.rc_context(_STYLE):
        fig = _figure(340, 416)
        axes = _axes(fig, 40, 26, 284, 262)
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (4, 3)), alpha=0.6)
        axes.annotate(
            "as sure as right", (0.25, 0.25), (-7, 7), **_OFFSET, rotation=43, ha="center", va="center", fontsize=9
        )
        axes.plot(
            [row["confidence"] for row in full], [row["accuracy"] for row in full], color=PALETTE[0], linewidth=1.4
        )
        axes.scatter(
            [row["confidence"] for row in full],
            [row["accuracy"] for row in full],
            s=[14 + 90 * row["count"] / max(counts) for row in full],
            color=PALETTE[0],
            edgecolor=PAPER,
            clip_on=False,
            zorder=3,
        )
        axes.set(xlim=(0, 1), ylim=(0, 1))
        _name_y(axes, "accuracy (share of the bin that is right)")
        below = _axes(fig, 40, 334, 284, 42)
        below.bar(
            [row["low"] for row in bins],
            counts,
            width=[(row["high"] - row["low"]) * 0.88 for row in bins],
            align="edge",
            color=PALETTE[0],
        )
        below.set(xlim=(0, 1), ylim=(0, max([*counts, 1])))
        below.set_yticks([0, max([*counts, 1])])
        below.set_xlabel("confidence (probability given to the predicted class)")
        _name_y(below, "pictures in the bin")
        for axis in (axes.xaxis, axes.yaxis, below.xaxis):
            _score_ticks(axis, 5)
        return _svg(fig, key, label)


def distribution(names: Sequence[str], splits: Mapping[str, Sequence[int]], *, key: str, label: str) -> str:
    """Each class's share of every split, the splits' bars side by side, the counts at their ends.

    Args:
        names: the classes, C of them.
        splits: per split, C counts.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words.
    """
    left = 16 + 6.4 * max(len(shorten(name)) for name in names)
    row_px = 13 * len(splits) + 9
    with matplotlib.rc_context(_STYLE):
        fig = _figure(400, row_px * len(names) + 72)
        axes = _axes(fig, left, 30, 400 - left - 44, row_px * len(names))
        for place, (split, counts) in enumerate(splits.items()):
            shares = 100 * np.asarray(counts, dtype=float) / max(sum(counts), 1)
            rows = np.arange(len(names)) + ((place + 0.5) * 13 + 4.5) / row_px - 0.5
            bars = axes.barh(rows, shares, 10 / row_px, label=shorten(split), **_fill(place))
            for bar, count in zip(bars, counts, strict=True):
                end = (bar.get_width(), bar.get_y() + bar.get_height() / 2)
                axes.annotate(f"{count:,}", end, (4, -0.5), **_OFFSET, va="center", fontsize=10)
        axes.set_yticks(np.arange(len(names)), [shorten(name) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))
        axes.set_xlabel("share of the split’s pictures")
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, borderaxespad=0.2, handlelength=1.6
        )
        return _svg(fig, key, label)


def attribution(
    lost: Mapping[str, float | None], gains: Mapping[str, float | None], *, absent: float | None, key: str, label: str
) -> str:
    """What of the joint macro-F1 each head loses, beside what a perfect head would win alone.

    Args:
        lost: per task, its Shapley share of the loss, in the order of the palette.
        gains: per task, the joint macro-F1's rise if that head alone were perfect.
        absent: the share lost to classes that have no picture, which is no head's doing.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words.
    """
    colours = {name: PALETTE[place % len(PALETTE)] for place, name in enumerate(lost)}
    rows = sorted(((name, value) for name, value in lost.items() if value is not None), key=lambda row: -row[1])
    left = 16 + 6.4 * max(len("absent classes"), *(len(shorten(name)) for name in lost))
    height = 34 * (len(rows) + bool(absent))
    with matplotlib.rc_context(_STYLE):
        fig = _figure(400, height + 78)
        axes = _axes(fig, left, 30, 400 - left - 52, height)
        values = []
        for place, (name, value) in enumerate(rows):
            axes.barh(place, value, 0.5, color=colours[name])
            gain = gains.get(name)
            if gain is not None:
                axes.plot(gain, place, "o", markersize=8, markerfacecolor=PAPER, markeredgecolor=INK, clip_on=False)
            values.append(value)
        names = [shorten(name) for name, _ in rows]
        if absent:
            axes.barh(len(rows), absent, 0.5, facecolor="none", edgecolor=INK, hatch="//////", linewidth=0.8)
            names.append("absent classes")
            values.append(absent)
        for place, value in enumerate(values):
            axes.annotate(score_text(value), (1, place), (46, 0), **_OFFSET_Y, ha="right", va="center")
        axes.annotate("lost", (1, 1), (46, 8), xycoords="axes fraction", textcoords="offset points", ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        axes.axvline(0, color=INK, linewidth=0.9)
        _score_ticks(axes.xaxis, 4)
        axes.set_xlabel("joint macro-F1, lost or to be won")
        return _svg(fig, key, label)


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
    with matplotlib.rc_context(_STYLE):
        fig = _figure(640, 650)
        axes = _axes(fig, 44, 26, 584, 584)
        axes.imshow(rgba, interpolation="none", extent=(0.5, edge, edge, 0.5), aspect="auto", zorder=2)
        axes.spines[["top", "right"]].set_visible(True)
        axes.set_xlabel("predicted (class number)")
        _name_y(axes, "given (class number)")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(8, integer=True))
        return _svg(fig, key, label)


_OFFSET = {"xycoords": "data", "textcoords": "offset points"}
_OFFSET_Y = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
_OFFSET_X = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}


def _figure(width_px: float, height_px: float) -> Figure:
    return Figure(figsize=(width_px / 72, height_px / 72), dpi=72)  # an SVG's unit is a point: 72 to the inch


def _axes(fig: Figure, left: float, top: float, width: float, height: float) -> Any:
    """Axes at a place in pixels from the top left corner, with light grid lines and no box."""
    full_width, full_height = fig.get_size_inches() * 72
    axes = fig.add_axes((left / full_width, 1 - (top + height) / full_height, width / full_width, height / full_height))
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set_alpha(0.4)
    axes.grid(color=INK, alpha=0.13, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=3, width=0.8, labelsize=10.5)
    return axes


def _fill(place: int) -> dict[str, Any]:
    """A bar's look: the first solid, the others told apart by their hatch as well as their colour."""
    colour = PALETTE[place % len(PALETTE)]
    return {
        "facecolor": PAPER if place else colour,
        "edgecolor": colour,
        "linewidth": 1,
        "hatch": HATCHES[place % len(HATCHES)],
    }


def _name_y(axes: Any, name: str, lift: int = 8) -> None:
    """The y axis's name, written level above the axis where it is read first."""
    axes.annotate(name, (0, 1), (-34, lift), xycoords="axes fraction", textcoords="offset points")


def _name_ends(axes: Any, ends: Sequence[tuple[Line, str, float, float]], height_px: float) -> None:
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


def _score_ticks(axis: Any, most: int) -> None:
    """Round ticks, all with the same number of decimals, written like the scores in the tables."""

    def text(value: float, _: int) -> str:
        ticks = axis.get_majorticklocs()
        decimals = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9)) if len(ticks) > 1 else 2
        return score_text(value, decimals) if value and decimals else f"{value:g}"

    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(text))


def _svg(fig: Figure, key: str, label: str) -> str:
    """The figure as an SVG that can stand among others in a page: its own ids, the page's colours and font."""
    stream = io.StringIO()
    with warnings.catch_warnings():
        # Text stays text: the reader's fonts draw it, whatever the font that measured it lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        fig.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    _, _, body = _METADATA.sub("", stream.getvalue()).partition("<svg ")
    width, height = (round(inches * 72) for inches in fig.get_size_inches())
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{key}" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{html.escape(label)}" style="stroke-linejoin: round">'
    )
    return head + _TAG.sub(lambda tag: _mend(tag.group(), key), body.partition(">")[2]).strip()


def _mend(tag: str, key: str) -> str:
    """One tag with the page's colours and font; only tags are touched, so no class name is ever rewritten."""
    tag = tag.replace(INK, "currentColor").replace(PAPER, "var(--paper, white)")
    # The blue is the one colour of the palette that is dim on black: a dark page may lighten it.
    tag = tag.replace(PALETTE[0].lower(), f"var(--blue, {PALETTE[0]})")
    tag = re.sub(r"font-family: [^;\"]*", "font-family: inherit", tag)
    tag = re.sub(r"(\sid=\"|url\(#)", rf"\g<1>{key}-", tag)
    return re.sub(r"xlink:href=\"(#?)", lambda found: f'href="#{key}-' if found.group(1) else 'href="', tag)
