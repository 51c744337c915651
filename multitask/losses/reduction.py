"""How the losses of samples become the loss of a batch."""

from __future__ import annotations

import torch
from torch import Tensor


def weighted_mean(losses: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean sum(w l) / sum(w), so that only the ratios of weights matter.

    Class weights are no part of w: they are factors of l, whose mean over the training pictures is 1. So a batch of
    rare classes counts for more than one of common ones, where ``torch.nn.CrossEntropyLoss(weight=...)``, which divides
    by the class weights too, gives every batch the same say; over an epoch both descend the same weighted loss.

    Args:
        losses: (B,) l.
        weights: (B,) w, not negative; 0 where a sample has no label.

    Returns:
        A scalar; an exact zero, still part of the graph, where all weights are 0.
    """
    total = weights.sum()
    return (losses * weights).sum() / torch.where(total > 0, total, torch.ones_like(total))
