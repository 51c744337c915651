"""Edges that make classes of numbers: round ones, with a fair share of the images between each two."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_MIN_SHARE = 0.75
"""Of what each class would have of the images were they shared out evenly; else edges are rounded less."""


def find_edges(numbers: Sequence[float] | NDArray[np.float64], num_classes: int = 3) -> tuple[float, ...]:
    """The edges between ``num_classes`` classes of (N,) numbers, fewer where one number is most of them.

    >>> find_edges([float(age) for age in range(1, 91)])
    (30.0, 60.0)
    """
    values = np.sort(np.asarray(numbers, dtype=np.float64))
    exact = [float(np.quantile(values, step / num_classes)) for step in range(1, num_classes)]
    spread = float(np.quantile(values, 0.95) - np.quantile(values, 0.05)) or float(values[-1] - values[0])
    if not spread:
        return ()
    top = 10.0 ** math.ceil(math.log10(spread))
    steps = [top / divisor for divisor in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)]
    for step in steps:
        digits = max(0, -math.floor(math.log10(step)) + 1)
        edges = sorted({round(round(edge / step) * step, digits) for edge in exact})
        if len(edges) == len(exact) and _least_share(values, edges) >= _MIN_SHARE / num_classes:
            return tuple(edges)
    inner = {edge for edge in exact if edge > values[0]}
    return tuple(sorted(inner)) or (float(values[values > values[0]][0]),)


def _least_share(values: NDArray[np.float64], edges: Sequence[float]) -> float:
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return float(counts.min() / len(values))
