"""The modules of losses that know something of the training labels: what each class would cost, were it the label."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from multitask.losses.likelihood import miss


class LogitAdjustment(nn.Module):
    """Cross entropy of answers that were shifted.

    Args:
        shift: (C_t,) added to the log-probabilities before they are normalised anew.
    """

    shift: Tensor

    def __init__(self, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) to (B, C_t)."""
        return -(log_probs + self.shift).log_softmax(dim=1)


class Margins(nn.Module):
    """Cross entropy of answers whose label was made less probable first.

    Args:
        margins: (C_t,) taken off the label's log-probability before it is normalised anew.
    """

    margins: Tensor

    def __init__(self, margins: Tensor) -> None:
        super().__init__()
        self.register_buffer("margins", margins, persistent=False)

    def forward(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) to (B, C_t)."""
        lowered = log_probs - self.margins
        # All but the label have 1 - p. Clamped: the slope of log(1 - p) is infinite at p = 1.
        others = miss(log_probs.clamp(max=-1e-12)).log()
        return torch.logaddexp(others, lowered) - lowered


class MeanVariance(nn.Module):
    """Cross entropy, how far the expected value is from the label's, and how wide the answer is.

    Args:
        values: (C_t,) the number that stands for each class.
        mean_weight: of the halved square of the expected value's error.
        variance_weight: of the answer's variance.
    """

    values: Tensor

    def __init__(self, values: Tensor, mean_weight: float, variance_weight: float) -> None:
        super().__init__()
        self.mean_weight = mean_weight
        self.variance_weight = variance_weight
        self.register_buffer("values", values, persistent=False)

    def forward(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) to (B, C_t)."""
        probs = log_probs.exp()
        expected = (probs * self.values).sum(dim=1, keepdim=True)
        variance = (probs * (self.values - expected) ** 2).sum(dim=1, keepdim=True)
        error = (expected - self.values) ** 2 / 2
        return -log_probs + self.mean_weight * error + self.variance_weight * variance
