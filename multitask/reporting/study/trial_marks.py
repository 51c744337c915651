"""A study's trials as its plots show them: which mark a trial gets, and which colour its score."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from multitask.reporting.svg import INK, PALETTE, PAPER, SCALE
from multitask.reporting.text import score_text

TITLE = 42  # letters of an axis' name that a plot has room for
_FENCE = 3.0  # interquartile ranges beyond the worse quartile: Tukey's far out
_ENOUGH = 8  # scores, below which no quartile says what is far out
_GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples fill a line evenly, however many there are


@dataclass(frozen=True)
class Mark:
    """One trial in a plot.

    Attributes:
        number: the trial's.
        state: ``finished``, ``pruned`` or ``failed``; other trials have nothing to show yet.
        score: that of the (first) objective; of a pruned trial, the best it had reached. None where there is none.
        base: it is the base config as it stands.
        best: it has the best score or, with several objectives, stands on their front.
    """

    number: int
    state: str
    score: float | None = None
    base: bool = False
    best: bool = False

    @property
    def jitter(self) -> float:
        """A shift from -0.5 to 0.5 that keeps trials of one value apart; always the same for the same trial."""
        return (self.number * _GOLDEN) % 1 - 0.5


@dataclass(frozen=True)
class ScoreRange:
    """The scores that a plot spans. Those far worse than the others are moved to its edge, so that these stay apart.

    Attributes:
        low: the lowest score shown as it is.
        high: the highest.
        maximize: the higher, the better.
        num_outside: how many scores lie beyond the worse end.
    """

    low: float
    high: float
    maximize: bool
    num_outside: int = 0

    @classmethod
    def of(cls, scores: Iterable[float | None], maximize: bool = True) -> ScoreRange:
        """The range of these scores; 0 to 1 where there are none."""
        found = np.array([score for score in scores if score is not None], dtype=float)
        if not len(found):
            return cls(0.0, 1.0, maximize)
        goodness = found if maximize else -found
        quarter, three_quarters = np.quantile(goodness, (0.25, 0.75))
        spread = three_quarters - quarter
        outside = goodness < (quarter - _FENCE * spread if spread and len(found) >= _ENOUGH else -math.inf)
        inside = found[~outside]
        return cls(float(inside.min()), float(inside.max()), maximize, int(outside.sum()))

    def including(self, scores: Iterable[float | None]) -> ScoreRange:
        """The same range, for a plot that shows these scores as well: those that are worse go to its edge."""
        worse = [score for score in scores if score is not None and self.clip(score) != score]
        return replace(self, num_outside=len(worse))

    @property
    def limits(self) -> tuple[float, float]:
        """An axis that leaves some room at both ends."""
        room = (self.high - self.low) * 0.06 or abs(self.high) * 0.1 or 0.1
        return self.low - room, self.high + room

    def clip(self, score: float) -> float:
        """Where a score is drawn: its own place, or the edge of the axis beyond which it lies."""
        low, high = self.limits
        if self.maximize:
            return low if score < self.low else score
        return high if score > self.high else score

    def place(self, score: float) -> float:
        """Where a score lies between the lowest, 0, and the highest, 1."""
        if self.high == self.low:
            return 0.5
        return min(max((score - self.low) / (self.high - self.low), 0.0), 1.0)

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Places and texts of about ``most`` round scores, or of both ends where there are none between them."""
        locator = MaxNLocator(most, steps=[1, 2, 5, 10])
        found = [score for score in locator.tick_values(self.low, self.high) if self.low <= score <= self.high]
        return [
            (self.place(score), score_text(score)) for score in (found if len(found) > 1 else (self.low, self.high))
        ]

    def share(self, score: float) -> float:
        """0 for the worst, 1 for the best."""
        if self.high == self.low:
            return 1.0
        return self.place(score) if self.maximize else 1 - self.place(score)

    def colour(self, score: float) -> str:
        """One of the steps of ``SCALE``; the better, the stronger."""
        return SCALE[min(int(self.share(score) * len(SCALE)), len(SCALE) - 1)]

    @property
    def ends(self) -> tuple[str, str]:
        """The scores of the worst and the best colour, as ``≤ .312`` and ``.512``."""
        worst, best = (self.low, self.high) if self.maximize else (self.high, self.low)
        sign = ("≤ " if self.maximize else "≥ ") if self.num_outside else ""
        return sign + score_text(worst), score_text(best)


def draw_marks(
    axes: Any,
    places: Iterable[tuple[float, float, Mark]],
    scores: ScoreRange | None = None,
    transform: Any = None,
) -> None:
    """Trials at their places: dots finished, open triangles pruned, crosses failed; the base a square, the best a star.

    Args:
        axes: to draw on.
        places: x, y and the trial; the base and the best are drawn above the others.
        scores: where given, the marks have their scores' colours; else each kind has its own.
        transform: of the places, where they are no data.
    """
    looks: dict[tuple[Any, ...], list[tuple[float, float]]] = {}
    for x, y, mark in places:
        colour = _colour(mark) if scores is None or mark.score is None else scores.colour(mark.score)
        looks.setdefault((mark.best, mark.base, mark.state, colour), []).append((x, y))
    for (best, base, state, colour), points in sorted(looks.items()):
        heavy, finished = base or best, state == "finished"
        axes.plot(
            *zip(*points, strict=True),
            linestyle="",
            marker=_shape(state, base, best),
            markersize=13 if best else 8 if base else 6.5,
            markerfacecolor=PAPER if state == "pruned" else colour,
            markeredgecolor=colour if not finished else INK if heavy and scores else PAPER,
            markeredgewidth=0.9 if finished else 1.4,
            alpha=None if heavy else 0.85,
            clip_on=False,
            zorder=5 + heavy,
            **({} if transform is None else {"transform": transform}),
        )


def _shape(state: str, base: bool, best: bool) -> str:
    if state == "failed":
        return "x"
    if best:
        return "*"
    if base:
        return "s"
    return "v" if state == "pruned" else "o"


def _colour(mark: Mark) -> str:
    if mark.base:
        return PALETTE[1]
    return INK if mark.best or mark.state != "finished" else PALETTE[0]
