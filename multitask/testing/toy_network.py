"""A toy network with several losses, on which balancers are tried."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from multitask.balancers.base import Balancer, Step

NAMES = ("mask", "gender", "age", "joint")
"""Of the losses."""


class Toy(nn.Module):
    """A backbone of two layers, and a head for each loss.

    Attributes:
        passes: how many backward passes went through the backbone.
    """

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.last = nn.Linear(5, 6), nn.Linear(6, 4)
        self.heads = nn.ModuleList(nn.Linear(4, 3) for _ in NAMES)
        self.inputs, self.labels = torch.randn(7, 5), torch.randint(0, 3, (len(NAMES), 7))
        self.passes = 0

    def _count(self, gradient: Tensor) -> None:
        self.passes += 1

    def losses(self, scaled: float = 1.0) -> tuple[dict[str, Tensor], Step]:
        """The losses of the one batch, and its step, whose gradients are ``scaled`` times as long."""
        hidden = self.first(self.inputs)
        if hidden.requires_grad:
            hidden.register_hook(self._count)
        features = self.last(torch.tanh(hidden))
        losses = {
            name: nn.functional.cross_entropy(head(features), labels)
            for name, head, labels in zip(NAMES, self.heads, self.labels, strict=True)
        }
        return losses, Step(lambda scalar: scalar * scaled, features, (self.last.weight,), replay=self.replay)

    def replay(self) -> dict[str, Tensor]:
        """The losses again, without a graph."""
        with torch.no_grad():
            return self.losses()[0]

    def gradients(self) -> Tensor:
        """All parameters' as one vector; 0 where there is none."""
        found = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in self.parameters()]
        return torch.cat([gradient.flatten() for gradient in found])

    def gradient_of(self, layer: nn.Module) -> float:
        """The sum of the absolute gradients of a layer's weights; 0 where there is none."""
        gradient = layer.weight.grad
        return 0.0 if not isinstance(gradient, Tensor) else float(gradient.abs().sum())


def learn(balancer: Balancer, toy: Toy, steps: int, scaled: float = 1.0) -> Tensor:
    """Some steps; the total and the gradients of the last one as one vector."""
    parameters = [*toy.parameters(), *balancer.parameters()]
    for _ in range(steps):
        for parameter in parameters:
            parameter.grad = None
        total = balancer.backward(*toy.losses(scaled))
        found = torch.cat([total.reshape(1), toy.gradients() / scaled])
        with torch.no_grad():
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.sub_(0.3 * parameter.grad / scaled)
        balancer.after_step()
    return found
