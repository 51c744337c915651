"""Balancers: how the heads' losses become one backward step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn

from multitask.settings import Settings, variants


@dataclass(frozen=True)
class Step:
    """One backward step, as a balancer may take it.

    Attributes:
        back: walks back from a scalar; it knows of loss scaling and accumulation.
        features: (B, F) what all losses share, a part of the graph: where gradients that conflict meet. None where the
            heads share no network, or nothing of it is trained.
        last_layer: the weights of the last layer that all losses share; none where there is none.
    """

    back: Callable[[Tensor], None]
    features: Tensor | None = None
    last_layer: Sequence[Tensor] = ()


class Balancer(nn.Module):
    """Turns the losses of the heads, and of the joint term, into gradients.

    Its parameters join the optimiser without decay and its state goes into the checkpoint, so that a balancer that
    learns or remembers is resumed like everything else.
    """

    @abstractmethod
    def backward(self, losses: Mapping[str, Tensor], step: Step) -> Tensor:
        """Adds the gradients of one batch.

        Args:
            losses: by name, a scalar that is part of the graph.
            step: how to walk back.

        Returns:
            The scalar that is logged as the batch's loss, detached.
        """

    def after_step(self, losses: Callable[[], Mapping[str, Tensor]]) -> None:
        """Told after a step of the optimiser.

        Args:
            losses: evaluates those of the last batch again, without a graph.
        """

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Told before each epoch, from 1, which one it is."""

    @abstractmethod
    def current_weights(self) -> dict[str, float]:
        """What each loss counts at present, by name, for the record; empty where a method has no weights."""


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

    def backward(self, losses: Mapping[str, Tensor], step: Step) -> Tensor:
        """One walk back from the weighted sum."""
        total = (torch.stack([losses[head] for head in self.heads]) * self.weights).sum()
        step.back(total)
        return total.detach()

    def current_weights(self) -> dict[str, float]:
        """As they are."""
        return dict(zip(self.heads, self.weights.tolist(), strict=True))


class BalancerSettings(Settings):
    """A balancer: its settings, and how it is built."""

    name: str
    needs_features: ClassVar[bool] = False
    """Whether it needs features that all losses share and that are trained."""

    @abstractmethod
    def build(self, weights: Mapping[str, float]) -> Balancer:
        """A balancer of losses by name, with the weights that the config gives them."""


class FixedSettings(BalancerSettings):
    """``heads.<task>.weight``, as they are."""

    name: Literal["fixed"] = "fixed"

    def build(self, weights: Mapping[str, float]) -> Balancer:
        """A balancer of the heads with these weights."""
        return FixedBalancer(weights)


AnyBalancer = Annotated[FixedSettings, *variants("fixed")]
"""The table of balancers."""
