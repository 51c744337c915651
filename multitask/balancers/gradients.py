"""What the methods that work on each loss's gradient have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from multitask.balancers.base import Balancer, Step

if TYPE_CHECKING:
    from multitask.balancers.settings import GradientSettings


class GradientBalancer(Balancer):
    """Combines the gradients that the losses have at the features they share, and walks back from there once.

    The Jacobian at the features, a row for each loss, is had by walking back through the heads alone. All these methods
    make of it a sum of its rows whose coefficients follow from the rows' inner products, a K x K matrix: so no solver
    ever sees the long rows. The sum takes the place of the gradient at the features on its way into the backbone, while
    the heads themselves are trained by the plain sum of the losses.

    The config's weights multiply the losses beforehand, for the heads and for the method alike. Accumulated batches are
    combined one by one.

    Args:
        settings: the method.
        weights: by loss.
    """

    weights: Tensor
    sums: Tensor

    def __init__(self, settings: GradientSettings, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.settings = settings
        self.names = tuple(weights)
        values = torch.tensor(list(weights.values()), dtype=torch.float32)
        # Not saved: these follow from the config, and what follows is of one epoch and only for the record.
        self.register_buffer("weights", values, persistent=False)
        self.register_buffer("sums", torch.zeros(len(values), dtype=torch.float64), persistent=False)
        self.num_batches = 0

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Counts from nothing."""
        self.sums.zero_()
        self.num_batches = 0

    def backward(self, losses: Mapping[str, Tensor], step: Step) -> Tensor:
        """Walks back through the heads once for each loss and once for their sum, through the backbone once."""
        assert step.features is not None, "the losses share no features"
        stacked = torch.stack([losses[name] for name in self.names]) * self.weights
        shared = step.shared(stacked)
        rows = step.jacobian(shared)
        shares = self.combine(rows @ rows.T)
        self.sums += shares * self.weights
        self.num_batches += 1
        combined = (shares.to(rows) @ rows).view_as(step.features).to(step.features.dtype)
        handle = step.features.register_hook(lambda gradient: combined)
        step.backward(shared.sum())
        handle.remove()
        return stacked.detach().sum()

    def combine(self, gramian: Tensor) -> Tensor:
        """(K,) float64, the coefficient of each row, on the Gramian's device.

        A row of zeros, as of a batch without labels, has no say and gets 1, as all do where one row is left to combine
        or a number is not finite; the latter is for the loop to notice.

        Args:
            gramian: (K, K) the rows' inner products.
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
        """What each loss counted in the backbone, the mean over this epoch's batches."""
        return dict(zip(self.names, (self.sums / max(self.num_batches, 1)).tolist(), strict=True))
