"""Random loss weighting."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from multitask.balancers.base import Step, WeightedBalancer


class RandomBalancer(WeightedBalancer):
    """Weights drawn anew for every batch: w = K softmax(x), with x (K,) standard normal, for K losses.

    Lin et al. 2022, section 3, https://arxiv.org/abs/2111.10603. x is drawn from torch's own generator, which the loop
    seeds at the beginning of every epoch.

    Args:
        names: (K,) of the losses.

    >>> balancer = RandomBalancer(["mask", "age"])
    >>> weights = balancer.weigh(torch.tensor([2.0, 3.0]), Step(scaled=lambda scalar: scalar))
    >>> round(float(weights.sum()), 4)
    2.0
    """

    sums: Tensor
    num_batches: Tensor

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(names)
        # Not saved: of one epoch, and only for the record.
        self.register_buffer("sums", torch.zeros(len(self.names)), persistent=False)
        self.register_buffer("num_batches", torch.zeros((), dtype=torch.int64), persistent=False)

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Resets the record of the weights."""
        self.sums.zero_()
        self.num_batches.zero_()

    def weigh(self, losses: Tensor, step: Step) -> Tensor:
        """(K,) w, drawn on the CPU, so that every device has the same."""
        self.weights.copy_(len(self.names) * torch.softmax(torch.randn(len(self.names)), dim=0))
        self.sums += self.weights
        self.num_batches += 1
        return self.weights

    def current_weights(self) -> dict[str, float]:
        """The mean over this epoch's batches; the last weights drawn would be noise."""
        return dict(zip(self.names, (self.sums / self.num_batches.clamp(min=1)).tolist(), strict=True))
