"""From a matplotlib figure to an inline SVG that takes its colours and its font from the page around it.

Only matplotlib's object interface is used: pyplot keeps global figures and picks a backend by itself. Text stays text:
it can be searched and is set in the page's font. One unit of a figure is one CSS pixel at the width of a phone's page,
which is where a plot is shown smallest.
"""

from __future__ import annotations

import html
import io
import math
import re
import warnings
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from multitask.reporting.text import score_text

WIDTH_PX = 342  # what a page on a phone of 375 pixels leaves a plot
TEXT_PX, SMALL_PX = 11.5, 11.0  # nothing is smaller: below this a phone's reader must zoom
LEFT_PX = 34  # room for the tick labels of a vertical axis
CHARACTER_PX = 6.2  # about the width of a letter of SMALL_PX, in a wide font
INK, PAPER = "#010203", "#fdfcfb"  # stand-ins, replaced by the page's text and background colours in the finished SVG
# Okabe and Ito's colours, ordered so that the first four keep a contrast of 3:1 on white and on near-black.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# From the worst score to the best: steps of viridis, which keeps its order for the colour-blind and in grey. These are
# a light page's; a dark page takes the map's other end, so that the best always stands out most, and all keep 3:1.
SCALE = ("#20a386", "#20928c", "#26818e", "#2e6f8e", "#365d8d", "#3f4889", "#46337f", "#481b6d", "#440154")

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "multitask",
    "text.parse_math": False,  # a `$` in a class name is a dollar
    "font.size": TEXT_PX,
    "hatch.linewidth": 0.8,
    **{f"{part}.color": INK for part in ("text", "xtick", "ytick")},
    **{f"axes.{part}color": INK for part in ("edge", "label", "title")},
}
_TAG = re.compile(r"<[^>]*>")
_METADATA = re.compile(r"<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)


def drawing() -> AbstractContextManager[None]:
    """matplotlib's settings for the length of one drawing; a figure is made and written inside."""
    return matplotlib.rc_context(_STYLE)


def new_figure(width_px: float, height_px: float) -> Figure:
    """An empty figure of that size."""
    return Figure(figsize=(width_px / 72, height_px / 72), dpi=72)  # an SVG's unit is a point: 72 to the inch


def place_axes(fig: Figure, left: float, top: float, width: float, height: float) -> Any:
    """Axes at a place in pixels from the top left corner, with light grid lines and no box."""
    full_width, full_height = fig.get_size_inches() * 72
    axes = fig.add_axes((left / full_width, 1 - (top + height) / full_height, width / full_width, height / full_height))
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set_alpha(0.4)
    axes.grid(color=INK, alpha=0.13, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=3, width=0.8, labelsize=SMALL_PX)
    return axes


def name_y(axes: Any, name: str, left: float, lift: int = 8) -> None:
    """The y axis's name, written level above the axis, ``left`` pixels before it, where it is read first."""
    axes.annotate(name, (0, 1), (-left, lift), xycoords="axes fraction", textcoords="offset points")


def name_rows(axes: Any, names: list[str], left: float) -> None:
    """Horizontal bars' names, all beginning ``left`` pixels before the axis; the first is the topmost."""
    axes.set_yticks(range(len(names)), names, ha="left")
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0, pad=left)
    axes.grid(False, axis="y")


def score_ticks(axis: Any, most: int) -> None:
    """Round ticks, all with the same number of decimals, written like the scores in the tables."""

    def text(value: float, _: int) -> str:
        ticks = axis.get_majorticklocs()
        decimals = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9)) if len(ticks) > 1 else 2
        return score_text(value, decimals) if value and decimals else f"{value:g}"

    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(text))


def to_svg(fig: Figure, key: str, label: str) -> str:
    """The figure as an SVG that can stand among others in a page: its own ids, the page's colours and font.

    Args:
        fig: drawn inside ``drawing()``, in ``INK``, ``PAPER`` and any other colours.
        key: a prefix for the SVG's ids, unique on the page.
        label: the plot in words, for those who do not see it.
    """
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
    for place, colour in enumerate(SCALE):
        tag = tag.replace(colour, f"var(--score-{place}, {colour})")
    tag = re.sub(r"font-family: [^;\"]*", "font-family: inherit", tag)
    tag = re.sub(r"(\sid=\"|url\(#)", rf"\g<1>{key}-", tag)
    return re.sub(r"xlink:href=\"(#?)", lambda found: f'href="#{key}-' if found.group(1) else 'href="', tag)
