"""Heads of plain layers on pooled features."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from multitask.labels import Task
from multitask.model.encoded import Encoded, Widths
from multitask.model.heads.base import NetSettings
from multitask.settings import PositiveInt


class PooledLogits(nn.Sequential):
    """Layers from pooled features to logits."""

    def forward(self, encoded: Encoded) -> Tensor:
        """(B, C_t) log-probabilities. In float32: a log-probability loses its meaning in half precision."""
        return F.log_softmax(super().forward(encoded.pooled).float(), dim=1)


class LinearSettings(NetSettings):
    """Dropout and one linear layer."""

    name: Literal["linear"] = "linear"

    def build(self, widths: Widths, task: Task) -> nn.Module:
        """Reads what is pooled."""
        return PooledLogits(nn.Dropout(self.dropout), nn.Linear(widths.pooled, task.num_classes))


class MLPSettings(NetSettings):
    """A hidden layer between two of dropout, so that a task may combine features its own way."""

    name: Literal["mlp"] = "mlp"
    hidden: PositiveInt = 256

    def build(self, widths: Widths, task: Task) -> nn.Module:
        """Reads what is pooled."""
        return PooledLogits(
            nn.Dropout(self.dropout),
            nn.Linear(widths.pooled, self.hidden),
            nn.GELU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.hidden, task.num_classes),
        )
