"""Cells of the product that should have occurred, were the tasks independent, and never did."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from multitask.labels import MISSING

MIN_EXPECTED = 10.0
"""Groups that a cell must be expected to have: of as many, none is seen with a probability of e^-10."""
MAX_CELLS = 100
"""Beyond so many, the tasks depend on each other in a way that is not for a list."""
_MAX_PRODUCT = 100_000

Cell = dict[int, int]
"""Task -> label, both as indices."""


def never_seen(labels: NDArray[np.int64], sizes: Sequence[int], num_groups: int) -> list[Cell]:
    """The cells that were expected and never seen, of as few tasks as say it.

    Args:
        labels: (N, T), ``MISSING`` where unknown.
        sizes: of the T tasks.
        num_groups: of images that say the same thing again.
    """
    found: list[Cell] = []
    for count in range(2, min(3, len(sizes)) + 1):
        for tasks in combinations(range(len(sizes)), count):
            found += _among(labels, tasks, sizes, num_groups / max(1, len(labels)), found)
    return found if len(found) <= MAX_CELLS else []


def _among(
    labels: NDArray[np.int64], tasks: tuple[int, ...], sizes: Sequence[int], per_image: float, known: list[Cell]
) -> list[Cell]:
    shape = tuple(sizes[task] for task in tasks)
    part = labels[:, tasks]
    part = part[(part != MISSING).all(axis=1)]
    if not len(part) or int(np.prod(shape)) > _MAX_PRODUCT:
        return []
    counts = np.zeros(shape, dtype=np.int64)
    np.add.at(counts, tuple(part.T), 1)
    expected = np.full(shape, len(part) * per_image)
    for axis in range(len(shape)):
        others = tuple(other for other in range(len(shape)) if other != axis)
        share = counts.sum(axis=others) / len(part)
        expected = expected * share.reshape([-1 if other == axis else 1 for other in range(len(shape))])
    cells = np.argwhere((counts == 0) & (expected >= MIN_EXPECTED))
    named = [dict(zip(tasks, map(int, cell), strict=True)) for cell in cells]
    return [cell for cell in named if not any(smaller.items() <= cell.items() for smaller in known)]
