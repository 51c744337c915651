"""Dynamic weight average."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from multitask.balancers.base import Step, WeightedBalancer


class DynamicAverageBalancer(WeightedBalancer):
    """Losses that fall slowly count more: w = K softmax(r / T), with r_i = L_i(t - 1) / L_i(t - 2).

    K is the number of losses, L_i(t) the mean of loss i over epoch t, and w (K,) the weights in epoch t; 1 in the first
    two. Liu, Johns and Davison 2019, equation 7, https://arxiv.org/abs/1803.10704.

    Args:
        names: (K,) of the losses.
        temperature: T; the higher, the nearer are the weights to each other.

    >>> balancer = DynamicAverageBalancer(["mask", "age"], temperature=2.0)
    >>> for epoch, (mask, age) in enumerate([(1.0, 1.0), (0.5, 0.9)], start=1):
    ...     balancer.begin_epoch(epoch, num_epochs=3)
    ...     weights = balancer.weigh(torch.tensor([mask, age]), Step(scaled=lambda scalar: scalar))
    >>> balancer.begin_epoch(3, num_epochs=3)
    >>> balancer.weights
    tensor([0.9003, 1.0997])
    """

    sums: Tensor
    counts: Tensor
    means: Tensor

    def __init__(self, names: Iterable[str], temperature: float) -> None:
        super().__init__(names)
        self.temperature = temperature
        num = len(self.names)
        self.register_buffer("sums", torch.zeros(num))
        self.register_buffer("counts", torch.zeros(num))
        self.register_buffer("means", torch.full((2, num), torch.nan))  # of the last epoch but one, and of the last

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """The weights of this epoch, from the means of the two before it."""
        if self.counts.any():
            # An epoch without a label of a task says nothing of how fast its loss falls.
            mean = torch.where(self.counts > 0, self.sums / self.counts, self.means[1])
            self.means.copy_(torch.stack([self.means[1], mean]))
        self.sums.zero_()
        self.counts.zero_()
        ratios = torch.nan_to_num(self.means[1] / self.means[0], nan=1.0, posinf=1.0)
        self.weights.copy_(len(self.names) * torch.softmax(ratios / self.temperature, dim=0))

    def weigh(self, losses: Tensor, step: Step) -> Tensor:
        """(K,) the weights of the epoch; the losses go into its means."""
        labelled = torch.ones_like(self.counts) if step.labelled is None else step.labelled
        self.sums += losses.detach() * labelled
        self.counts += labelled * (losses.detach() != 0)  # exactly 0: no label was known
        return self.weights
