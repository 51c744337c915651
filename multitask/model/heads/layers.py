"""Heads of plain layers on pooled features."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from multitask.model.encoder import Encoded


class PooledLogits(nn.Sequential):
    """Layers from pooled features to logits."""

    def forward(self, encoded: Encoded) -> Tensor:
        """(B, C_t) log-probabilities. In float32: a log-probability loses its meaning in half precision."""
        logits: Tensor = super().forward(encoded.pooled)  # type: ignore[no-untyped-call]
        return F.log_softmax(logits.float(), dim=1)
