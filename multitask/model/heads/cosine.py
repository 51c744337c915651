"""A head of cosines, for which the norm of a feature vector does not matter."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multitask.model.encoder import Encoded
from multitask.model.heads.settings import MAX_SCALE


class CosineHead(nn.Module):
    """z_c = s cos(f, w_c): Gidaris and Komodakis 2018, https://arxiv.org/abs/1804.09458.

    z_c is the logit of class c, f (F,) the pooled features, w_c (F,) the weight vector of the class and s the scale.

    Args:
        num_features: F.
        num_classes: C_t.
        dropout: of the features.
        scale: s, at first.
        learn_scale: whether s is learned, up to ``MAX_SCALE``.
    """

    log_scale: Tensor

    def __init__(self, num_features: int, num_classes: int, dropout: float, scale: float, learn_scale: bool) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.weight = nn.Parameter(torch.randn(num_classes, num_features))
        start = torch.tensor(math.log(scale))
        if learn_scale:
            self.log_scale = nn.Parameter(start)
        else:
            self.register_buffer("log_scale", start, persistent=False)

    def forward(self, encoded: Encoded) -> Tensor:
        """(B, C_t) log-probabilities; computed in float32 throughout, since a half's cosine is too coarse to scale."""
        with torch.autocast(encoded.pooled.device.type, enabled=False):
            features = F.normalize(self.dropout(encoded.pooled.float()), dim=1, eps=1e-6)
            cosines = features @ F.normalize(self.weight.float(), dim=1, eps=1e-6).T
            return F.log_softmax(self.log_scale.clamp(max=math.log(MAX_SCALE)).exp() * cosines, dim=1)
