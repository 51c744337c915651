"""GradNorm."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from multitask.balancers.adam import Adam
from multitask.balancers.base import Step, WeightedBalancer

_LEAST = 1e-3


class GradNormBalancer(WeightedBalancer):
    """Gradients of equal norm at the last shared layer, larger for losses that fall slowly: Chen et al. 2018.

    The weights w (K,) descend sum_i |G_i - mean(G) r_i ** alpha|, with G_i = w_i times the norm of the gradient of loss
    L_i in the weights of the last shared layer, and r_i = (L_i / L_i(0)) / mean_k(L_k / L_k(0)) the relative inverse
    training rate, L_i(0) the first loss of a labelled batch; mean(G) r_i ** alpha is held fixed. After each batch w is
    scaled to a sum of K. Equations 1 and 2, algorithm 1, https://arxiv.org/abs/1711.02257.

    Args:
        names: (K,) of the losses.
        alpha: the strength by which slow losses are favoured; 0: equal norms.
        lr: of w, which moves by Adam, as in the paper's experiments.

    >>> layer = torch.tensor([1.0], requires_grad=True)
    >>> losses = torch.cat([4 * layer, 1 * layer])  # gradients of norm 4 and 1
    >>> balancer = GradNormBalancer(["mask", "age"], alpha=1.5, lr=0.025)
    >>> balancer.weigh(losses, Step(scaled=lambda scalar: scalar, last_layer=[layer]))
    tensor([1., 1.])
    >>> balancer.weights  # of the next batch
    tensor([0.9750, 1.0250])
    """

    initial: Tensor

    def __init__(self, names: Iterable[str], alpha: float, lr: float) -> None:
        super().__init__(names)
        self.alpha = alpha
        self.adam = Adam(len(self.names), lr)
        self.register_buffer("initial", torch.full((len(self.names),), torch.nan))

    def weigh(self, losses: Tensor, step: Step) -> Tensor:
        """(K,) w from the batches before; this one moves it for the next."""
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
        """(K,) the norm of each loss's gradient at the last shared layer, without the scale of mixed precision."""
        assert step.last_layer, "the losses share no layer"
        norms = []
        for loss in losses.unbind():
            found = torch.autograd.grad(step.scaled(loss), step.last_layer, retain_graph=True, allow_unused=True)
            norms.append(sum((step.whole(part.float()) ** 2).sum() for part in found if part is not None) ** 0.5)
        return torch.stack([torch.as_tensor(norm, device=losses.device) for norm in norms]) / step.scaled(
            torch.ones((), device=losses.device)
        )
