"""The reduction from the losses of samples to the loss of a batch."""

from __future__ import annotations

import torch
from torch import Tensor


def weighted_mean(losses: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean sum_i w_i l_i / sum_i w_i over the samples i of a batch, so that only the ratios of w matter.

    Class weights are no part of w: they are factors of l, whose mean over the training images is 1. So a batch of
    rare classes counts for more than one of common ones, where ``torch.nn.CrossEntropyLoss(weight=...)``, which divides
    by the class weights too, gives every batch the same say; over an epoch both descend the same weighted loss.

    Args:
        losses: (B,) l.
        weights: (B,) w, not negative; 0 where a sample has no label.

    Returns:
        A scalar; an exact zero, still part of the graph, where all weights are 0.

    >>> weighted_mean(torch.tensor([1.0, 2.0, 9.0]), torch.tensor([1.0, 3.0, 0.0]))
    tensor(1.7500)
    """
    total = weights.sum()
    return (losses * weights).sum() / torch.where(total > 0, total, torch.ones_like(total))
