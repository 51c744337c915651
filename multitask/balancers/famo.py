"""FAMO."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from multitask.balancers.adam import Adam
from multitask.balancers.base import Replay, Step, WeightedBalancer

_EPS = 1e-8


class FAMOBalancer(WeightedBalancer):
    """Every loss falls at the same rate, found without a gradient of each.

    The step goes down the sum of z * log L with z = softmax(xi); then the batch is evaluated again, and xi moves so
    that the loss whose logarithm fell least counts more. Liu et al. 2023, algorithm 1,
    https://arxiv.org/abs/2306.03792; xi moves by Adam, as in the authors' code.

    Args:
        names: of the losses.
        lr: of xi.
        decay: of xi, its pull to equal z.
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
        """(K,) in the ratio of z / L, with a mean of 1. A loss without a label has no say: its logarithm is none."""
        self._before, self._replay = losses.detach(), step.replay
        known = self._before != 0
        rates = torch.softmax(self.logits, dim=0) * known / (self._before + _EPS)
        weights = rates / (rates.sum() + _EPS) * known.sum()
        self.weights.copy_(torch.where(known, weights, self.weights))
        return weights

    def after_step(self) -> None:
        """Moves xi by what the step did to the logarithms of the last batch's losses."""
        assert self._replay is not None, "the step must come with a replay of its batch"
        found = self._replay()
        self._replay = None  # it holds the batch
        after = torch.stack([found[name] for name in self.names])
        fell = (self._before + _EPS).log() - (after + _EPS).log()
        fell = fell * (self._before != 0) * (after != 0)
        shares = torch.softmax(self.logits, dim=0)
        gradient = shares * (fell - (shares * fell).sum())  # the softmax's Jacobian times the falls
        self.logits -= self.adam(gradient + self.decay * self.logits)
