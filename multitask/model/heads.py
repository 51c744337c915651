"""Heads: from pooled features to one task's logits."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from multitask.settings import Float, PositiveInt, Settings, variants

Dropout = Annotated[Float, Field(ge=0, lt=1)]


class NetSettings(Settings):
    """A head: its settings, and how it is built."""

    name: str

    @abstractmethod
    def build(self, num_features: int, num_classes: int) -> nn.Module:
        """A module from (B, F) features to (B, C_t) logits."""


class LinearSettings(NetSettings):
    """Dropout and one linear layer."""

    name: Literal["linear"] = "linear"
    dropout: Dropout = 0.0

    def build(self, num_features: int, num_classes: int) -> nn.Module:
        """(B, F) to (B, C_t)."""
        return nn.Sequential(nn.Dropout(self.dropout), nn.Linear(num_features, num_classes))


class MLPSettings(NetSettings):
    """A hidden layer between two of dropout, so that a task may combine features its own way."""

    name: Literal["mlp"] = "mlp"
    hidden: PositiveInt = 256
    dropout: Dropout = 0.0

    def build(self, num_features: int, num_classes: int) -> nn.Module:
        """(B, F) to (B, C_t)."""
        return nn.Sequential(
            nn.Dropout(self.dropout),
            nn.Linear(num_features, self.hidden),
            nn.GELU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.hidden, num_classes),
        )


AnyNet = Annotated[LinearSettings | MLPSettings, *variants("linear")]
"""The table of heads: a new one is a class above, and a name here."""
