"""FAMO."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from multitask.balancers.adam import Adam
from multitask.balancers.base import Replay, Step, WeightedBalancer

_EPS = 1e-8


class FAMOBalancer(WeightedBalancer):
    """Every loss falls at the same relative rate, without a gradient of each: Liu et al. 2023, algorithm 1.

    The step descends sum_i z_i log L_i with z = softmax(xi), xi (K,) the logits and L_i loss i; so the weights are
    w_i = c z_i / L_i, with c such that their mean is 1. After it a second forward pass gives the losses L'_i of the
    same batch, and xi descends sum_i z_i d_i with d_i = log L_i - log L'_i, plus its decay: the loss whose logarithm
    fell least counts more. https://arxiv.org/abs/2306.03792; xi moves by Adam, as in the authors' code.

    Args:
        names: (K,) of the losses.
        lr: of xi.
        decay: of xi, the weight of its pull to equal z.

    >>> balancer = FAMOBalancer(["mask", "age"], lr=0.025, decay=0.0)
    >>> after = {"mask": torch.tensor(0.5), "age": torch.tensor(2.9)}
    >>> balancer.weigh(torch.tensor([1.0, 3.0]), Step(scaled=lambda scalar: scalar, replay=lambda: after))
    tensor([1.5000, 0.5000])
    >>> balancer.after_step()  # mask fell faster: it will count less
    >>> balancer.logits
    tensor([-0.0250,  0.0250])
    """

    logits: Tensor

    def __init__(self, names: Iterable[str], lr: float, decay: float) -> None:
        super().__init__(names)
        self.decay = decay
        self.adam = Adam(len(self.names), lr)
        self.register_buffer("logits", torch.zeros(len(self.names)))
        self._before = torch.zeros(len(self.names))
        self._replay: Replay | None = None

    def weigh(self, losses: Tensor, step: Step) -> Tensor:
        """(K,) w, over the losses of which a label is known: the others have no logarithm."""
        self._before, self._replay = losses.detach(), step.replay
        known = self._before != 0
        rates = torch.softmax(self.logits, dim=0) * known / (self._before + _EPS)
        weights = rates / (rates.sum() + _EPS) * known.sum()
        self.weights.copy_(torch.where(known, weights, self.weights))
        return weights

    def after_step(self) -> None:
        """Moves xi by how far the logarithms of the last batch's losses fell."""
        assert self._replay is not None, "the step must come with a replay of its batch"
        found = self._replay()
        self._replay = None  # it holds the batch
        after = torch.stack([found[name] for name in self.names])
        fell = (self._before + _EPS).log() - (after + _EPS).log()
        fell = fell * (self._before != 0) * (after != 0)
        shares = torch.softmax(self.logits, dim=0)
        gradient = shares * (fell - (shares * fell).sum())  # the softmax's Jacobian times the falls
        self.logits -= self.adam(gradient + self.decay * self.logits)
