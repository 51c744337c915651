"""A head that looks where its task needs to: at a mouth for a mask, at a whole face for an age."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import model_validator
from torch import Tensor, nn

from multitask.errors import UserError
from multitask.labels import Task
from multitask.model.encoded import Encoded, Widths
from multitask.model.heads.base import NetSettings
from multitask.settings import PositiveInt


class AttentionHead(nn.Module):
    """A learned query of the task that attends to the places of the last feature map.

    Cross-attention with one query (as the class attention of Touvron et al. 2021, https://arxiv.org/abs/2103.17239):
    layer norm, for each of H heads a softmax over the places, the mean of their values by it, one linear layer. Since
    the query is the same for all pictures, its product with the key projection is one vector of each head, which is
    what is learned here. It is zero at first: the head begins by looking everywhere alike.

    Args:
        width: D, of a place.
        num_classes: C_t.
        num_heads: H.
        values: the width of what is collected, all heads together.
        dropout: of what is collected.
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


class AttentionSettings(NetSettings):
    """A query of the task over the last feature map."""

    name: Literal["attention"] = "attention"
    num_heads: PositiveInt = 4
    width: PositiveInt = 256
    """Of what is collected from the places, all heads together."""
    reads_map: ClassVar[bool] = True

    @model_validator(mode="after")
    def _check(self) -> AttentionSettings:
        if self.width % self.num_heads:
            raise ValueError(f"width must be a multiple of num_heads ({self.num_heads}), found {self.width}")
        return self

    def build(self, widths: Widths, task: Task) -> nn.Module:
        """Reads the map.

        Raises:
            UserError: the backbone has none.
        """
        if not widths.map:
            raise UserError(
                f"heads.{task.name}.net: attention needs one last feature map, but the backbone has several"
            )
        return AttentionHead(widths.map, task.num_classes, self.num_heads, self.width, self.dropout)
