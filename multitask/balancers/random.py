"""Random loss weighting."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from multitask.balancers.base import Step, WeightedBalancer


class RandomBalancer(WeightedBalancer):
    """Weights drawn anew for every batch: K * softmax of K standard normal numbers.

    Lin et al. 2022, section 3, https://arxiv.org/abs/2111.10603. They come from torch's own generator, which the loop
    seeds at the beginning of every epoch.

    Args:
        names: of the losses.
    """

    sums: Tensor

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(names)
        # Not saved: of one epoch, and only for the record.
        self.register_buffer("sums", torch.zeros(len(self.names)), persistent=False)
        self.num_batches = 0

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Counts from nothing."""
        self.sums.zero_()
        self.num_batches = 0

    def weigh(self, losses: Tensor, step: Step) -> Tensor:
        """(K,) drawn on the CPU, so that every device has the same."""
        self.weights.copy_(len(self.names) * torch.softmax(torch.randn(len(self.names)), dim=0))
        self.sums += self.weights
        self.num_batches += 1
        return self.weights

    def current_weights(self) -> dict[str, float]:
        """The mean of this epoch's; the last ones drawn would be noise."""
        return dict(zip(self.names, (self.sums / max(self.num_batches, 1)).tolist(), strict=True))
