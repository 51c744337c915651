"""Joint terms: residuals by which the classes' probabilities depart from the product of the heads'.

log p(y | x) = sum_t log p_t(y_t | x) + R(x, y) - log Z(x), with p_t the probabilities of the head of task t, y_t the
label of that task in class y, and Z(x) the sum over the cells that can occur. R (B, C) is zero when training begins, so
the network begins exactly as the factored model, and learns only which heads go together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor, nn

from multitask.labels import LabelSpace
from multitask.model.encoder import Encoded


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
            encoded: the images.
            answers: per head, (B, C_t) log-probabilities.
        """
        joint: Tensor = self.space.joint_log_probs(answers) + self.residual(encoded.pooled).float()
        return joint.masked_fill(self.impossible, -math.inf).log_softmax(dim=1)


def zeroed(layer: nn.Linear) -> nn.Linear:
    """The layer with weights and bias of 0, so that its outputs are 0 when training begins."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Pairwise(nn.Module):
    """A table of residuals for every two tasks, whose entries depend on the image.

    Args:
        num_features: F.
        space: of the tasks.
    """

    def __init__(self, num_features: int, space: LabelSpace) -> None:
        super().__init__()
        self.sizes = space.sizes
        self.pairs = list(combinations(range(space.num_tasks), 2))
        self.tables = nn.ModuleList(
            zeroed(nn.Linear(num_features, space.sizes[one] * space.sizes[other])) for one, other in self.pairs
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) features to (B, C) residuals: over every two tasks, the sum of the table's entries at their labels."""
        total = features.new_zeros(
            (features.shape[0], *self.sizes)
        )  # with len() an export would be fixed at one batch size
        for (one, other), table in zip(self.pairs, self.tables, strict=True):
            shape = [1] * len(self.sizes)
            shape[one], shape[other] = self.sizes[one], self.sizes[other]
            total = total + table(features).reshape(-1, *shape)
        return total.flatten(1)


class Nothing(nn.Module):
    """No residual.

    Args:
        num_classes: C.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) features to (B, C) zeros."""
        return features.new_zeros((features.shape[0], self.num_classes))
