"""Uncertainty weighting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from multitask.balancers.base import Balancer, Step


class UncertaintyBalancer(Balancer):
    """The sum of exp(-s) L + s / 2, where each loss's s = log sigma**2 is learned with the network.

    Kendall, Gal and Cipolla 2018, equation 10 (the form for classification), https://arxiv.org/abs/1705.07115. At rest
    exp(s) = 2 L: a loss counts in inverse proportion to its size.

    Args:
        names: of the losses.
    """

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.log_variances = nn.Parameter(torch.zeros(len(self.names)))

    def backward(self, losses: Mapping[str, Tensor], step: Step) -> Tensor:
        """One walk back; a batch without a label of a task does not move that task's s."""
        stacked = torch.stack([losses[name] for name in self.names])
        known = stacked.detach() != 0
        terms = torch.exp(-self.log_variances) * stacked + 0.5 * self.log_variances * known
        step.backward(step.shared(terms).sum())
        return terms.detach().sum()

    def current_weights(self) -> dict[str, float]:
        """exp(-s)."""
        return dict(zip(self.names, torch.exp(-self.log_variances.detach()).tolist(), strict=True))
