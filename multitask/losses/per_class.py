"""The modules of classwise losses that hold tensors made of the training labels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from multitask.losses.likelihood import miss


class LogitAdjustment(nn.Module):
    """l_c = -log softmax(log p + b)_c, with log p (C_t,) the log-probabilities and b (C_t,) a shift.

    Args:
        shift: (C_t,) b.

    >>> LogitAdjustment(torch.tensor([0.75, 0.25]).log())(torch.tensor([[0.5, 0.5]]).log()).exp().reciprocal()
    tensor([[0.7500, 0.2500]])
    """

    shift: Tensor

    def __init__(self, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) log-probabilities to (B, C_t) losses, had each class been the label."""
        return -(log_probs + self.shift).log_softmax(dim=1)


class Margins(nn.Module):
    """l_c = -log(p_c e ** -m_c / (p_c e ** -m_c + 1 - p_c)), with p_c the probability of class c and m (C_t,) margins.

    Args:
        margins: (C_t,) m.

    >>> Margins(torch.tensor([0.0, 1.0]))(torch.tensor([[0.5, 0.5]]).log())  # log 2 and log(1 + e)
    tensor([[0.6931, 1.3133]])
    """

    margins: Tensor

    def __init__(self, margins: Tensor) -> None:
        super().__init__()
        self.register_buffer("margins", margins, persistent=False)

    def forward(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) log-probabilities to (B, C_t) losses, had each class been the label."""
        lowered = log_probs - self.margins
        # All but the label have 1 - p. Clamped: the slope of log(1 - p) is infinite at p = 1.
        others = miss(log_probs.clamp(max=-1e-12)).log()
        return torch.logaddexp(others, lowered) - lowered


class MeanVariance(nn.Module):
    """l_c = -log p_c + lambda_1 (m - v_c) ** 2 / 2 + lambda_2 sum_k p_k (v_k - m) ** 2, with m = sum_k p_k v_k.

    Args:
        values: (C_t,) v, the number that stands for each class.
        mean_weight: lambda_1, of half the squared error of the predicted mean m.
        variance_weight: lambda_2, of the predicted variance.

    >>> terms = MeanVariance(torch.tensor([-1.0, 1.0]), mean_weight=0.2, variance_weight=0.05)
    >>> terms(torch.tensor([[0.5, 0.5]]).log())  # m = 0 and variance 1: log 2 + 0.1 + 0.05
    tensor([[0.8431, 0.8431]])
    """

    values: Tensor

    def __init__(self, values: Tensor, mean_weight: float, variance_weight: float) -> None:
        super().__init__()
        self.mean_weight = mean_weight
        self.variance_weight = variance_weight
        self.register_buffer("values", values, persistent=False)

    def forward(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) log-probabilities to (B, C_t) losses, had each class been the label."""
        probs = log_probs.exp()
        expected = (probs * self.values).sum(dim=1, keepdim=True)
        variance = (probs * (self.values - expected) ** 2).sum(dim=1, keepdim=True)
        error = (expected - self.values) ** 2 / 2
        return -log_probs + self.mean_weight * error + self.variance_weight * variance
