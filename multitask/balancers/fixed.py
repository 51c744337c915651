"""Fixed weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from multitask.balancers.base import Step, WeightedBalancer


class FixedBalancer(WeightedBalancer):
    """sum_i w_i L_i, with w_i the weight that the config gives loss L_i.

    Tuned fixed weights match special optimisers: Kurin et al. 2022, https://arxiv.org/abs/2201.04122.

    Args:
        weights: w by name of the loss. Only their ratios matter beside the learning rate.

    >>> theta = torch.tensor(1.0, requires_grad=True)
    >>> losses = {"mask": 2 * theta, "age": 3 * theta}
    >>> FixedBalancer({"mask": 1.0, "age": 0.5}).backward(losses, Step(scaled=lambda scalar: scalar)), theta.grad
    (tensor(3.5000), tensor(3.5000))
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__(weights)
        # Not saved: they follow from the config.
        self.register_buffer("weights", torch.tensor(list(weights.values()), dtype=torch.float32), persistent=False)

    def weigh(self, losses: Tensor, step: Step) -> Tensor:
        """(K,) w, the same for every batch."""
        return self.weights
