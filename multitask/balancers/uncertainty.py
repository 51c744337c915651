"""Uncertainty weighting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from multitask.balancers.base import Balancer, Step


class UncertaintyBalancer(Balancer):
    """sum_i exp(-s_i) L_i + s_i / 2, with L_i loss i and s_i = log sigma_i ** 2 learned together with the network.

    sigma_i is the task's homoscedastic uncertainty: Kendall, Gal and Cipolla 2018, equation 10 (the form for
    classification), https://arxiv.org/abs/1705.07115. At the optimum exp(s_i) = 2 L_i: a loss counts in inverse
    proportion to its size.

    Args:
        names: (K,) of the losses.

    >>> balancer = UncertaintyBalancer(["mask", "age"])
    >>> theta = torch.tensor(1.0, requires_grad=True)
    >>> balancer.backward({"mask": 2 * theta, "age": 3 * theta}, Step(scaled=lambda scalar: scalar)), theta.grad
    (tensor(5.), tensor(5.))
    >>> balancer.log_variances.grad  # 1 / 2 - L
    tensor([-1.5000, -2.5000])
    """

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.log_variances = nn.Parameter(torch.zeros(len(self.names)))

    def backward(self, losses: Mapping[str, Tensor], step: Step) -> Tensor:
        """One backward pass; a batch without a label of a task does not move that task's s."""
        stacked = torch.stack([losses[name] for name in self.names])
        known = stacked.detach() != 0
        terms = torch.exp(-self.log_variances) * stacked + 0.5 * self.log_variances * known
        step.backward(step.shared(terms).sum())
        return terms.detach().sum()

    def current_weights(self) -> dict[str, float]:
        """exp(-s_i), by name."""
        return dict(zip(self.names, torch.exp(-self.log_variances.detach()).tolist(), strict=True))
