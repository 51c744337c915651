"""GradNorm."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from multitask.balancers.adam import Adam
from multitask.balancers.base import Step, WeightedBalancer

_LEAST = 1e-3


class GradNormBalancer(WeightedBalancer):
    """Every loss pulls at the last shared layer with the same force, the more so the slower it falls.

    The weights w go down the sum of |G_i - mean(G) * r_i**alpha|, where G_i = w_i * |gradient of L_i| at the weights of
    the last shared layer, and r_i = (L_i / L_i(0)) / mean(L / L(0)); the goal is held fixed. After each batch they are
    brought to a sum of K. Chen et al. 2018, equations 1 and 2, algorithm 1, https://arxiv.org/abs/1711.02257.

    Args:
        names: of the losses.
        alpha: the restoring force; 0: equal forces.
        lr: of the weights, which move by Adam, as in the paper's experiments.
    """

    initial: Tensor

    def __init__(self, names: Iterable[str], alpha: float, lr: float) -> None:
        super().__init__(names)
        self.alpha = alpha
        self.adam = Adam(len(self.names), lr)
        self.register_buffer("initial", torch.full((len(self.names),), torch.nan))

    def weigh(self, losses: Tensor, step: Step) -> Tensor:
        """(K,) as the batch before left them."""
        used, found = self.weights.clone(), losses.detach()
        known = found != 0
        self.initial.copy_(torch.where(known & self.initial.isnan(), found, self.initial))
        norms = self._norms(losses, step)
        num = known.sum().clamp(min=1)
        ratios = torch.where(known, found / self.initial, 0.0)
        ratios = ratios / (ratios.sum() / num).clamp(min=1e-12)
        forces = used * norms
        goals = (forces * known).sum() / num * ratios**self.alpha
        gradient = torch.sign(forces - goals) * norms * known
        moved = (used - self.adam(gradient)).clamp(min=_LEAST)
        self.weights.copy_(moved * (len(self.names) / moved.sum()))
        return used

    def _norms(self, losses: Tensor, step: Step) -> Tensor:
        """(K,) the length of each loss's gradient at the last layer that all share, whatever losses are scaled by."""
        assert step.last_layer, "the losses share no layer"
        norms = []
        for loss in losses.unbind():
            found = torch.autograd.grad(step.scaled(loss), step.last_layer, retain_graph=True, allow_unused=True)
            norms.append(sum((part.float() ** 2).sum() for part in found if part is not None) ** 0.5)
        return torch.stack([torch.as_tensor(norm, device=losses.device) for norm in norms]) / step.scaled(
            torch.ones((), device=losses.device)
        )
