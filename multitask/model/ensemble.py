"""Ensembles: several networks as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class Ensemble(nn.Module):
    """Networks that vote: softmax(1/K sum_k log p_k), with p_k the probabilities of network k of K.

    That is the geometric mean of the probabilities, the distribution that is nearest to all of theirs (by the mean of
    the Kullback-Leibler divergences to them). With heads that are independent given the image, their vote is so too.

    Args:
        networks: at least one; each (B, 3, H, W) images to {head: (B, C_t) logits or log-probabilities}, with the
            same heads. A joint distribution among them is voted on like a head.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        assert networks, "an ensemble has members"
        self.networks = nn.ModuleList(networks)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Log-probabilities per head: (B, 3, H, W) to {head: (B, C_t)} float32."""
        answers: list[Mapping[str, Tensor]] = [network(images) for network in self.networks]
        return {head: vote([forward_heads[head] for forward_heads in answers]) for head in answers[0]}


def vote(answers: Sequence[Tensor]) -> Tensor:
    """(B, C) log-probabilities from those, or the logits, of K voters; a class with probability 0 for one keeps it."""
    log_probs = torch.stack([forward_heads.float().log_softmax(dim=1) for forward_heads in answers])
    return log_probs.mean(dim=0).log_softmax(dim=1)
