"""What the answers amount to as a number, where labels are ranges of one."""

from __future__ import annotations

from typing import Any

import numpy as np

from multitask.evaluation.intervals import interval, resample_mean
from multitask.evaluation.metrics import FloatArray, IntArray


def number_figures(
    probs: FloatArray, centres: FloatArray, numbers: FloatArray, groups: IntArray, seed: int
) -> dict[str, Any] | None:
    """How far the expected value is from the raw number.

    The expected value is the sum over the classes of probability times centre, so it cannot be beyond the outermost
    centres, and within a class it knows no more than its probabilities say.

    Args:
        probs: (N, C_t), rows sum to 1.
        centres: (C_t,) the number that stands for each class.
        numbers: (N,) NaN where unknown.
        groups: (N,) group indices.
        seed: of the resampling.

    Returns:
        ``mae`` (the mean absolute error) with ``mae_ci`` over resampled groups, ``bias`` (the mean error; positive
        where answers are too high), all in the number's unit, and ``num_images``; None where no number is known.
    """
    known = ~np.isnan(numbers)
    if not known.any():
        return None
    error = probs[known] @ centres - numbers[known]
    _, present = np.unique(groups[known], return_inverse=True)
    return {
        "num_images": len(error),
        "mae": float(np.abs(error).mean()),
        "mae_ci": list(interval(resample_mean(np.abs(error), present, seed))),
        "bias": float(error.mean()),
    }
