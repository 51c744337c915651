"""Weights from the config."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from multitask.balancers.base import Step, WeightedBalancer


class FixedBalancer(WeightedBalancer):
    """The sum of the losses, each times its own weight.

    Tuned fixed weights match special optimisers: Kurin et al. 2022, https://arxiv.org/abs/2201.04122.

    Args:
        weights: by loss. Only their ratios matter beside the learning rate.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__(weights)
        # Not saved: they follow from the config.
        self.register_buffer("weights", torch.tensor(list(weights.values()), dtype=torch.float32), persistent=False)

    def weigh(self, losses: Tensor, step: Step) -> Tensor:
        """(K,) as they are."""
        return self.weights
