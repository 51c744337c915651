"""A head that attends to places of the feature map: to a mouth for a mask, to a whole face for an age."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multitask.model.encoder import Encoded


class AttentionHead(nn.Module):
    """A learned query of the task that attends to the places of the last feature map.

    Cross-attention with one query (as the class attention of Touvron et al. 2021, https://arxiv.org/abs/2103.17239):
    layer norm, for each of H heads a softmax over the places, the mean of their values by it, one linear layer. Since
    the query is the same for all images, its product with the key projection is one vector of each head, which is
    learned here. It is zero at first, so that the attention begins uniform.

    Args:
        width: D, of a place.
        num_classes: C_t.
        num_heads: H.
        values: the width of the values, of all heads together.
        dropout: of the attended values.
    """

    def __init__(self, width: int, num_classes: int, num_heads: int, values: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Parameter(torch.zeros(num_heads, width))
        self.value = nn.Linear(width, values)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(values, num_classes)

    def attention(self, places: Tensor) -> Tensor:
        """(B, N, D) places, normed, to (B, H, N) float32, which sums to 1 over the places."""
        return F.linear(places, self.query * places.shape[2] ** -0.5).float().softmax(dim=1).transpose(1, 2)

    def forward(self, encoded: Encoded) -> Tensor:
        """(B, C_t) log-probabilities."""
        assert encoded.map is not None, "the head needs the map"
        places = self.norm(encoded.map)
        values = self.value(places).unflatten(2, (self.num_heads, -1))  # (B, N, H, values / H)
        collected = torch.einsum("bhn,bnhv->bhv", self.attention(places).to(values.dtype), values).flatten(1)
        return F.log_softmax(self.classify(self.dropout(collected)).float(), dim=1)
