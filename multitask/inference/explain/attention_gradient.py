"""Gradient x attention: the places that a pooled token collects its evidence from."""

from __future__ import annotations

from torch import Tensor, nn

from multitask.inference.explain.methods import Method, gradient
from multitask.inference.explain.trunk import Trunk


class AttentionGradient(Method):
    """Gradient x attention of the last layer: sum over queries of the heads' mean of max(A * ds/dA, 0).

    A are the layer's attention weights and s is the label's score: what Chefer et al. 2021
    (https://arxiv.org/abs/2103.15679) take of each layer, here of the last alone and without a rollout. Where a token
    is pooled, its queries are the only ones that reach the answer, and the places of the last map have no gradient of
    their own, so that Grad-CAM would find nothing.
    """

    name = "gradient x attention"

    def fits(self, trunk: Trunk, head: nn.Module | None) -> bool:
        """A pooled token whose attention is known."""
        return trunk.by_token and trunk.attention is not None and trunk.grid is not None

    def evidence(self, trunk: Trunk, head: nn.Module | None, score: Tensor) -> Tensor:
        """(B, h, w) of at least 0."""
        assert trunk.attention is not None
        weights = trunk.attention
        return trunk.to_grid((weights * gradient(score, weights)).clamp(min=0).mean(dim=1).sum(dim=1))
