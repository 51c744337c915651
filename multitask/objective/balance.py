"""Balancers: how the heads' losses become one backward step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from multitask.settings import Settings, variants


class Balancer(nn.Module):
    """Turns the heads' losses into gradients.

    Its parameters join the optimiser without decay and its state goes into the checkpoint, so that a balancer that
    learns or remembers is resumed like everything else.
    """

    @abstractmethod
    def backward(self, losses: Mapping[str, Tensor], step: Callable[[Tensor], None]) -> Tensor:
        """Adds the gradients of one batch.

        Args:
            losses: per head, a scalar that is part of the graph.
            step: walks back from a scalar; it knows of loss scaling and accumulation.

        Returns:
            The scalar that is logged as the batch's loss, detached.
        """


class FixedBalancer(Balancer):
    """The sum of the losses, each times its head's weight.

    Tuned fixed weights match special optimisers: Kurin et al. 2022, https://arxiv.org/abs/2201.04122.

    Args:
        weights: per head. Only their ratios matter beside the learning rate.
    """

    weights: Tensor

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.heads = tuple(weights)
        self.register_buffer("weights", torch.tensor([weights[head] for head in self.heads]), persistent=False)

    def backward(self, losses: Mapping[str, Tensor], step: Callable[[Tensor], None]) -> Tensor:
        """One walk back from the weighted sum."""
        total = (torch.stack([losses[head] for head in self.heads]) * self.weights).sum()
        step(total)
        return total.detach()


class FixedSettings(Settings):
    """``heads.<task>.weight``, as they are."""

    name: Literal["fixed"] = "fixed"

    def build(self, weights: Mapping[str, float]) -> Balancer:
        """A balancer of the heads with these weights."""
        return FixedBalancer(weights)


AnyBalancer = Annotated[FixedSettings, *variants("fixed")]
"""The table of balancers."""
