"""Heads: from what the backbone makes of a picture to the log-probabilities of one task's labels."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from multitask.labels import Task
from multitask.model.encoded import Encoded, Widths
from multitask.settings import Float, PositiveInt, Settings, variants

Dropout = Annotated[Float, Field(ge=0, lt=1)]


class NetSettings(Settings):
    """A head: its settings, and how it is built."""

    name: str
    reads_map: ClassVar[bool] = False
    """Whether the head looks at the last feature map, and not only at what is pooled of it."""

    @abstractmethod
    def build(self, widths: Widths, task: Task) -> nn.Module:
        """A module from ``Encoded`` pictures to (B, C_t) float32 log-probabilities, whose exponentials sum to 1."""


class PooledLogits(nn.Sequential):
    """Layers from pooled features to logits."""

    def forward(self, encoded: Encoded) -> Tensor:
        """(B, C_t) log-probabilities. In float32: a log-probability loses its meaning in half precision."""
        return F.log_softmax(super().forward(encoded.pooled).float(), dim=1)


class LinearSettings(NetSettings):
    """Dropout and one linear layer."""

    name: Literal["linear"] = "linear"
    dropout: Dropout = 0.0

    def build(self, widths: Widths, task: Task) -> nn.Module:
        """Reads what is pooled."""
        return PooledLogits(nn.Dropout(self.dropout), nn.Linear(widths.pooled, task.num_classes))


class MLPSettings(NetSettings):
    """A hidden layer between two of dropout, so that a task may combine features its own way."""

    name: Literal["mlp"] = "mlp"
    hidden: PositiveInt = 256
    dropout: Dropout = 0.0

    def build(self, widths: Widths, task: Task) -> nn.Module:
        """Reads what is pooled."""
        return PooledLogits(
            nn.Dropout(self.dropout),
            nn.Linear(widths.pooled, self.hidden),
            nn.GELU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.hidden, task.num_classes),
        )


AnyNet = Annotated[LinearSettings | MLPSettings, *variants("linear")]
"""The table of heads: a new one is a class above, and a name here."""
