"""The balance of losses on a run's page: their weights, and how far their gradients conflict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from multitask.labels import JOINT as JOINT_LOSS
from multitask.progress import EpochRecord
from multitask.reporting.run import curves
from multitask.reporting.run.curves import JOINT, Line
from multitask.reporting.run.gradient_conflict import conflict_sentence
from multitask.reporting.views import PlotView

MOST_PAIRS = 6
"""Pairs in one plot: as many as there are colours."""


@dataclass(frozen=True)
class BalanceView:
    """The plots, and a sentence on conflict; each is left out where there is nothing to tell."""

    plots: tuple[PlotView, ...]
    conflict: str | None


def balance_view(history: Sequence[EpochRecord], styles: Mapping[str, int]) -> BalanceView:
    """The weights and the conflict of the losses by epoch.

    Args:
        history: the rows of RUN/metrics.jsonl.
        styles: of the losses, by name, as in the page's other plots.
    """
    pairs = _pairs(history)
    drawn = [_weights(history, styles), _conflict(history, pairs)]
    return BalanceView(tuple(plot for plot in drawn if plot), conflict_sentence(history))


def _weights(history: Sequence[EpochRecord], styles: Mapping[str, int]) -> PlotView | None:
    """Only where the weights move, or are not all 1: else there is nothing to see."""
    rows = [(row.train and row.train.weights) or {} for row in history]
    names = list(dict.fromkeys(name for row in rows for name in row))
    if all(row.get(name) in (1, None) for row in rows for name in names):
        return None
    lines = [
        Line(name, tuple(_number(row.get(name)) for row in rows), JOINT if name == JOINT_LOSS else styles.get(name, 0))
        for name in names
    ]
    plot = curves.learning_curves(
        [row.epoch for row in history],
        lines,
        ylabel="weight of the loss",
        key="loss-weights",
        label=f"Weight of the losses {', '.join(names)} after each epoch",
        level=1,
    )
    words = "What each loss counts in the step that the shared network takes; the thin line is 1."
    return PlotView("Weights", Markup(plot), words)


def _pairs(history: Sequence[EpochRecord]) -> dict[tuple[str, str], tuple[float | None, ...]]:
    """The cosines of every two losses, a value per epoch."""

    def found() -> Iterator[tuple[str, str]]:
        for row in history:
            for one, others in _conflict_of(row).items():
                yield from ((one, other) for other in others)

    def cosine(row: EpochRecord, one: str, other: str) -> float | None:
        return _number(_conflict_of(row).get(one, {}).get(other))

    lines = {pair: tuple(cosine(row, *pair) for row in history) for pair in dict.fromkeys(found())}
    return {pair: line for pair, line in lines.items() if any(value is not None for value in line)}


def _conflict_of(row: EpochRecord) -> Mapping[str, Mapping[str, float | None]]:
    return (row.train and row.train.conflict) or {}


def _conflict(
    history: Sequence[EpochRecord], pairs: Mapping[tuple[str, str], tuple[float | None, ...]]
) -> PlotView | None:
    if not pairs:
        return None
    shown = sorted(sorted(pairs, key=lambda pair: _mean(pairs[pair]))[:MOST_PAIRS], key=list(pairs).index)
    names = {pair: " / ".join(pair) for pair in shown}
    plot = curves.learning_curves(
        [row.epoch for row in history],
        [Line(names[pair], pairs[pair], place) for place, pair in enumerate(shown)],
        ylabel="cosine of two losses’ gradients",
        key="conflict",
        label=f"Cosine of the gradients of {', '.join(names.values())} in each epoch",
        level=0,
    )
    words = "Above 0 two losses pull the shared features the same way, below 0 against each other."
    if len(shown) < len(pairs):
        words += f" Of {len(pairs)} pairs the {len(shown)} with the lowest cosines."
    return PlotView("Conflict", Markup(plot), words)


def _mean(line: Sequence[float | None]) -> float:
    return float(np.mean([value for value in line if value is not None]))


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
