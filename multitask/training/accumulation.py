"""Gradient accumulation: the shares of batches in a step that several of them make."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def step_shares(labelled: NDArray[np.float64], accumulate: int) -> NDArray[np.float64] | None:
    """The share of each loss of a batch in its accumulated step, for that to be the step of one large batch.

    Args:
        labelled: (batches, K) the weight of each batch's samples that have the label of each loss.
        accumulate: batches per step; the last step may have fewer.

    Returns:
        (batches, K), in the mean over the batches of a step 1; None where all are 1.
    """
    shares = np.ones_like(labelled)
    for start in range(0, len(labelled), accumulate):
        part = labelled[start : start + accumulate]
        mean = part.sum(axis=0) / len(part)
        np.divide(part, mean, out=shares[start : start + accumulate], where=mean > 0)
    return None if (shares == 1).all() else shares
