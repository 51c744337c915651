"""The balancer of all methods that combine the gradients of the losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from multitask.balancers.base import Balancer, Step


class _Method(Protocol):
    """What solves for the coefficients, as ``GradientSettings`` do."""

    def solve(self, gramian: Tensor) -> Tensor: ...


class GradientBalancer(Balancer):
    """Combines the gradients of the losses at the features they share, and continues the backward pass from there.

    J (K, D) is the Jacobian of the K losses at the D elements of the features, which takes K backward passes through
    the heads alone. Every method gives coefficients a (K,) that follow from the Gramian G = J J' (K, K), so no solver
    ever sees the long rows. a' J takes the place of the gradient at the features on its way into the backbone, while
    the heads themselves are trained by the plain sum of the losses.

    The config's weights multiply the losses beforehand, for the heads and for the method alike. Accumulated batches are
    combined one by one.

    Args:
        settings: the method, which solves for a.
        weights: by name of the loss.

    >>> from multitask.balancers.nash_mtl import NashMTLSettings
    >>> backbone = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> features = 1 * backbone
    >>> losses = {"mask": 4 * features[0], "age": features[1]}
    >>> balancer = GradientBalancer(NashMTLSettings(), {"mask": 1.0, "age": 1.0})
    >>> balancer.backward(losses, Step(scaled=lambda scalar: scalar, features=features))
    tensor(6.)
    >>> backbone.grad  # of orthogonal gradients each counts by the inverse of its length
    tensor([2.9155, 2.9155])
    >>> balancer.combine(torch.tensor([[16.0, 0.0], [0.0, 1.0]]))
    tensor([0.7289, 2.9155], dtype=torch.float64)
    """

    weights: Tensor
    sums: Tensor
    num_batches: Tensor

    def __init__(self, settings: _Method, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.settings = settings
        self.names = tuple(weights)
        values = torch.tensor(list(weights.values()), dtype=torch.float32)
        # Not saved: these follow from the config, and what follows is of one epoch and only for the record.
        self.register_buffer("weights", values, persistent=False)
        self.register_buffer("sums", torch.zeros(len(values), dtype=torch.float64), persistent=False)
        self.register_buffer("num_batches", torch.zeros((), dtype=torch.int64), persistent=False)

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Resets the record of the coefficients."""
        self.sums.zero_()
        self.num_batches.zero_()

    def backward(self, losses: Mapping[str, Tensor], step: Step) -> Tensor:
        """A backward pass through the heads for each loss, then one for their sum through heads and backbone."""
        assert step.features is not None, "the losses share no features"
        stacked = torch.stack([losses[name] for name in self.names]) * self.weights
        shared = step.shared(stacked)
        rows = step.jacobian(shared)
        shares = self.combine(step.whole(rows @ rows.T))
        self.sums += shares * self.weights
        self.num_batches += 1
        combined = (shares.to(rows) @ rows).view_as(step.features).to(step.features.dtype)
        handle = step.features.register_hook(lambda gradient: combined)
        step.backward(shared.sum())
        handle.remove()
        return stacked.detach().sum()

    def combine(self, gramian: Tensor) -> Tensor:
        """(K,) float64, the coefficients a, on the Gramian's device.

        A row of zeros in J, as of a batch without labels, is left out and gets 1, as all do where one row is left or a
        value is not finite; the latter is for the loop to notice.

        Args:
            gramian: (K, K) G, the inner products of the rows of J.
        """
        found = gramian.detach().double().cpu()
        there = found.diagonal() > 0
        shares = torch.ones(len(found), dtype=torch.float64)
        if there.sum() > 1 and torch.isfinite(found).all():
            part = found[there][:, there]
            # Solvers have absolute tolerances, and a mean over a batch makes small gradients.
            shares[there] = self.settings.solve(part / part.diagonal().mean())
        return shares.to(gramian.device)

    def current_weights(self) -> dict[str, float]:
        """The mean, over this epoch's batches, of each loss's coefficient times the config's weight."""
        return dict(zip(self.names, (self.sums / self.num_batches.clamp(min=1)).tolist(), strict=True))
