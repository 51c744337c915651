"""Numbers that stand for "unknown": a -1 among ages makes its image one of the youngest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from multitask.data.samples import Samples

_SENTINELS = tuple(float("9" * digits) for digits in range(2, 8))


def sentinel_notes(samples: Samples) -> list[str]:
    """A sentence on each binned task with a number that is probably none."""
    found = []
    for task, column in zip(samples.space.tasks, samples.numbers.T, strict=True):
        if task.kind != "binned":
            continue
        for number in sentinels(column[~np.isnan(column)]):
            key, bound = ("lowest", "the least") if number < 0 else ("highest", "the greatest")
            num = int((column == number).sum())
            found.append(
                f"{task.name}: the number of {num:,} {'image' if num == 1 else 'images'} is {number:g}, beyond all "
                f"others; if it stands for unknown, leave the cell empty, and let labels.tasks.{task.name}.{key} name "
                f"{bound} that there can be"
            )
    return found


def sentinels(numbers: NDArray[np.float64]) -> list[float]:
    """Those of (N,) numbers that are probably codes for unknown: -1 or nines, outside the range of all others.

    A negative one is where no other number is negative; a positive one where it is further from the next than the next
    is from the least.
    """
    values = np.unique(numbers)
    if len(values) < 3:
        return []
    least, greatest = values[0], values[-1]
    low = -least in (1.0, 9.0, *_SENTINELS) and values[1] >= 0
    rest = values[1:] if low else values
    high = greatest in _SENTINELS and greatest - rest[-2] > rest[-2] - rest[0]
    return [*([float(least)] if low else []), *([float(greatest)] if high else [])]
