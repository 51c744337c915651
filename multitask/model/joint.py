"""Joint terms: what the heads cannot say of the classes as long as each speaks for itself.

log p(class | x) = sum of the heads' log-probabilities + R(x, class), normalised over the cells that can occur. R is
zero when training begins, so the network begins exactly as the factored model, and learns only which heads go together.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from itertools import combinations
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from multitask.labels import LabelSpace
from multitask.model.encoded import Encoded, Widths
from multitask.settings import PositiveInt, Settings, variants


class JointTerm(nn.Module):
    """The classes' log-probabilities from the heads' and a residual.

    Args:
        space: the label space of the heads.
        residual: (B, F) pooled features to (B, C).
    """

    impossible: Tensor

    def __init__(self, space: LabelSpace, residual: nn.Module) -> None:
        super().__init__()
        self.space = space
        self.residual = residual
        self.register_buffer("impossible", torch.from_numpy(~space.possible), persistent=False)

    def forward(self, encoded: Encoded, answers: Mapping[str, Tensor]) -> Tensor:
        """(B, C) float32 log-probabilities, -inf at cells that cannot occur.

        Args:
            encoded: the pictures.
            answers: per head, (B, C_t) log-probabilities.
        """
        joint = self.space.joint_log_probs(answers) + self.residual(encoded.pooled).float()
        return joint.masked_fill(self.impossible, -math.inf).log_softmax(dim=1)


class TermSettings(Settings):
    """A joint term: its settings, and how it is built."""

    name: str

    @abstractmethod
    def residual(self, widths: Widths, space: LabelSpace) -> nn.Module:
        """(B, F) to (B, C), all zeros at first."""

    def build(self, widths: Widths, space: LabelSpace) -> JointTerm:
        """A joint term of heads with this label space."""
        return JointTerm(space, self.residual(widths, space))


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class LowRankSettings(TermSettings):
    """R(x, class) = u(x) . v(class) + b(class), with u and v of ``rank`` numbers."""

    name: Literal["low_rank"] = "low_rank"
    rank: PositiveInt = 8

    def residual(self, widths: Widths, space: LabelSpace) -> nn.Module:
        """Two linear layers, the second of them zero."""
        return nn.Sequential(
            nn.Linear(widths.pooled, self.rank, bias=False), _zero(nn.Linear(self.rank, space.num_classes))
        )


class Pairwise(nn.Module):
    """A table for every two tasks, whose entries the picture decides.

    Args:
        num_features: F.
        space: of the tasks.
    """

    def __init__(self, num_features: int, space: LabelSpace) -> None:
        super().__init__()
        self.sizes = space.sizes
        self.pairs = list(combinations(range(space.num_tasks), 2))
        self.tables = nn.ModuleList(
            _zero(nn.Linear(num_features, space.sizes[one] * space.sizes[other])) for one, other in self.pairs
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) to (B, C)."""
        total = features.new_zeros((len(features), *self.sizes))
        for (one, other), table in zip(self.pairs, self.tables, strict=True):
            shape = [1] * len(self.sizes)
            shape[one], shape[other] = self.sizes[one], self.sizes[other]
            total = total + table(features).reshape(-1, *shape)
        return total.flatten(1)


class PairwiseSettings(TermSettings):
    """R(x, class) = the sum over every two tasks of a table of their labels; it knows of no three together."""

    name: Literal["pairwise"] = "pairwise"

    def residual(self, widths: Widths, space: LabelSpace) -> nn.Module:
        """One linear layer for each pair, zero."""
        return Pairwise(widths.pooled, space)


class NoTermSettings(TermSettings):
    """The tasks as independent given the picture; for a joint loss on the factored model."""

    name: Literal["none"] = "none"

    def residual(self, widths: Widths, space: LabelSpace) -> nn.Module:
        """Zero for ever."""
        return Nothing(space.num_classes)


class Nothing(nn.Module):
    """No residual.

    Args:
        num_classes: C.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) to (B, C) zeros."""
        return features.new_zeros((len(features), self.num_classes))


AnyTerm = Annotated[LowRankSettings | PairwiseSettings | NoTermSettings, *variants("low_rank")]
"""The table of joint terms: a new one is a class above, and a name here."""
