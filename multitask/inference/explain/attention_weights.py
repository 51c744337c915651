"""Attention weights: the places that an attention head looks at."""

from __future__ import annotations

from torch import Tensor, nn

from multitask.inference.explain.methods import Method
from multitask.inference.explain.trunk import Trunk
from multitask.model.heads.attention import AttentionHead


class AttentionWeights(Method):
    """The mean over its H attention heads of the weights with which a head collects the places.

    They are where it looks, whatever the label: the only values that reach its answer are these places'.
    """

    name = "attention weights"

    def fits(self, trunk: Trunk, head: nn.Module | None) -> bool:
        """An attention head, on a map of places."""
        return isinstance(head, AttentionHead) and trunk.grid is not None

    def evidence(self, trunk: Trunk, head: nn.Module | None, score: Tensor) -> Tensor:
        """(B, h, w) of at least 0."""
        assert isinstance(head, AttentionHead)
        assert trunk.encoded.map is not None
        return trunk.to_grid(head.attention(head.norm(trunk.encoded.map)).mean(dim=1))
