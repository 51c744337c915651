"""The error of predicted numbers, where labels are ranges of a number."""

from __future__ import annotations

import numpy as np

from multitask.evaluation.intervals import interval, resample_mean
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.evaluation.scores import RegressionError


def regression_error(
    probs: FloatArray, centres: FloatArray, numbers: FloatArray, groups: IntArray, seed: int
) -> RegressionError | None:
    """The error of the expected value against the raw number.

    The expected value is sum_c p_c v_c, with p_c the probability of class c and v_c its centre, so it cannot be beyond
    the outermost centres, and within a class it knows no more than its probabilities say.

    Args:
        probs: (N, C_t), rows sum to 1.
        centres: (C_t,) the number that stands for each class.
        numbers: (N,) NaN where unknown.
        groups: (N,) group indices.
        seed: of the resampling.

    Returns:
        None where no number is known.
    """
    known = ~np.isnan(numbers)
    if not known.any():
        return None
    error = probs[known] @ centres - numbers[known]
    _, present = np.unique(groups[known], return_inverse=True)
    return RegressionError(
        num_images=len(error),
        mae=float(np.abs(error).mean()),
        mae_ci=interval(resample_mean(np.abs(error), present, seed)),
        bias=float(error.mean()),
    )
