"""Numbers that stand for "unknown": a -1 among ages makes its image one of the youngest."""

from __future__ import annotations

from typing import Any

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


def sentinels(numbers: NDArray[np.floating[Any]]) -> list[float]:
    """Those of (N,) numbers that are probably codes for unknown: -1 or nines, outside the range of all others.

    A negative one is where no other number is negative; a positive one where it is further from the next than the next
    is from the least.
    """
    if not len(numbers):
        return []
    least, greatest = float(numbers.min()), float(numbers.max())
    inner = numbers[(numbers > least) & (numbers < greatest)]
    if not len(inner):
        return []
    second, last = float(inner.min()), float(inner.max())
    low = -least in (1.0, 9.0, *_SENTINELS) and second >= 0
    high = greatest in _SENTINELS and greatest - last > last - (second if low else least)
    return [*([least] if low else []), *([greatest] if high else [])]
