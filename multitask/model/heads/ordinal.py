"""Heads for ordered classes: a binary logit for each threshold between neighbours.

Both give the probabilities of the classes that follow from the thresholds', in log-sigmoids throughout, so that the
likelihood of a label, and with it every loss, is exact however sure the head is. Both begin with all classes alike.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multitask.model.encoder import Encoded


class CornHead(nn.Module):
    """CORN: conditional thresholds (Shi, Cao and Raschka 2021, https://arxiv.org/abs/2111.08851).

    Of K classes, P(y > k | y >= k) is the sigmoid of logit k, from 0 to K - 2, so that by the chain rule
    P(y = k) = P(y > 0) P(y > 1 | y >= 1) ... (1 - P(y > k | y >= k)). The cross entropy of that is the paper's loss
    (its equation 5) up to the constant it divides by, since a sample's threshold counts there only where y >= k.

    Args:
        num_features: F.
        num_classes: K.
        dropout: of the features.
    """

    def __init__(self, num_features: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.thresholds = nn.Linear(num_features, num_classes - 1)
        with torch.no_grad():  # of the K - k classes from k on, all but one lie above k
            above = torch.arange(num_classes - 1, 0, -1, dtype=torch.float32)
            self.thresholds.bias.copy_(above.log())

    def forward(self, encoded: Encoded) -> Tensor:
        """(B, K) log-probabilities."""
        return corn_log_probs(self.thresholds(self.dropout(encoded.pooled)).float())


def corn_log_probs(logits: Tensor) -> Tensor:
    """(B, K - 1) logits of y > k given y >= k, to (B, K) log-probabilities."""
    reached = F.pad(F.logsigmoid(logits).cumsum(dim=1), (1, 0))
    return reached + F.pad(F.logsigmoid(-logits), (0, 1))


class CoralHead(nn.Module):
    """CORAL: one direction, and thresholds along it (Cao, Mirjalili and Raschka 2020,
    https://arxiv.org/abs/1901.07884).

    Of K classes, P(y > k) = sigmoid(g(x) + b_k), k from 0 to K - 2, with one linear g of the features x for all
    thresholds and biases b (K - 1,). The paper shows that b falls at the
    optimum of its loss, a sum of K - 1 binary cross entropies; here it falls by construction, b_k = b_(k-1) minus the
    softplus of a free gap, so that no class ever has a negative probability, and the loss is the likelihood of the
    class (the proportional odds of McCullagh 1980).

    Args:
        num_features: F.
        num_classes: K.
        dropout: of the features.
    """

    def __init__(self, num_features: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.direction = nn.Linear(num_features, 1, bias=False)
        above = torch.arange(num_classes - 1, 0, -1, dtype=torch.float32) / num_classes
        bias = above.logit()
        self.first = nn.Parameter(bias[:1].clone())
        self.gaps = nn.Parameter((bias[:-1] - bias[1:]).expm1().log())  # the inverse of softplus

    def thresholds(self) -> Tensor:
        """(K - 1,) b, which falls."""
        return torch.cat([self.first, self.first - F.softplus(self.gaps).cumsum(0)])

    def forward(self, encoded: Encoded) -> Tensor:
        """(B, K) log-probabilities."""
        with torch.autocast(encoded.pooled.device.type, enabled=False):  # a difference of thresholds needs all digits
            logits = self.direction(self.dropout(encoded.pooled.float())) + self.thresholds()
            return coral_log_probs(logits, self.gaps)


def coral_log_probs(logits: Tensor, gaps: Tensor) -> Tensor:
    """Log-probabilities of K classes from those of the thresholds.

    With a > b, sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)); where a - b = softplus(gap), the last
    factor is sigmoid(gap).

    Args:
        logits: (B, K - 1) of y > k, each less than the one before it by the softplus of a gap.
        gaps: (K - 2,).

    Returns:
        (B, K).
    """
    at_least = F.pad(F.logsigmoid(logits), (1, 0))
    at_most = F.pad(F.logsigmoid(-logits), (0, 1))
    return at_least + at_most + F.pad(F.logsigmoid(gaps), (1, 1))
