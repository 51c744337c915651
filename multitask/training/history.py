"""The epochs of a training, one record after the other: which is the best, and whether another is worth it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from multitask.progress import EpochRecord, ValidationScores, best_epoch
from multitask.utils.records import value_at


def lookup(scores: Any, metric: str) -> float:
    """The score at a dotted path, as ``joint.macro_f1``."""
    return float(value_at(scores, metric))


def is_best(
    history: Sequence[EpochRecord], val: ValidationScores | None, monitor: str, score_at: str | None = None
) -> bool:
    """Whether an epoch is better than all before it; one whose score is unknown is not.

    Args:
        history: the records of those before.
        val: the epoch's validation scores; None where nothing validates: every epoch is then the best yet.
        monitor: the score that decides; a loss is the better the lower it is.
        score_at: where the number that decides stands instead, as ``bound``.
    """
    if val is None:
        return True
    sign = -1.0 if monitor.endswith("loss") else 1.0
    place = score_at or monitor
    score = lookup(val, place)
    if math.isnan(score):
        return False
    earlier = (lookup(row.val, place) for row in history)
    return all(sign * score > sign * other for other in earlier if not math.isnan(other))


def out_of_patience(history: Sequence[EpochRecord], patience: int | None) -> bool:
    """Whether the last ``patience`` epochs brought nothing better; None: never."""
    best = best_epoch(history) or 0
    return patience is not None and len(history) - best >= patience
