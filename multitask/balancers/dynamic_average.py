"""Dynamic weight average."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from multitask.balancers.base import Step, WeightedBalancer


class DynamicAverageBalancer(WeightedBalancer):
    """Losses that fall slowly count more.

    At epoch t each loss counts K * softmax(r / T) with r = L(t - 1) / L(t - 2), of epoch means; 1 in the first two.
    Liu, Johns and Davison 2019, equation 7, https://arxiv.org/abs/1803.10704.

    Args:
        names: of the losses.
        temperature: T; the higher, the nearer are the weights to each other.
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
        """Closes the epoch before."""
        if self.counts.any():
            # An epoch without a label of a task says nothing of how fast its loss falls.
            mean = torch.where(self.counts > 0, self.sums / self.counts, self.means[1])
            self.means.copy_(torch.stack([self.means[1], mean]))
        self.sums.zero_()
        self.counts.zero_()
        ratios = torch.nan_to_num(self.means[1] / self.means[0], nan=1.0, posinf=1.0)
        self.weights.copy_(len(self.names) * torch.softmax(ratios / self.temperature, dim=0))

    def weigh(self, losses: Tensor, step: Step) -> Tensor:
        """(K,) those of the epoch."""
        labelled = torch.ones_like(self.counts) if step.labelled is None else step.labelled
        self.sums += losses.detach() * labelled
        self.counts += labelled * (losses.detach() != 0)  # exactly 0: no label was known
        return self.weights
