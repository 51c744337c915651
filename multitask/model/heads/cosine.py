"""A head that compares directions: how long a feature vector is says nothing of its class."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multitask.labels import Task
from multitask.model.encoded import Encoded, Widths
from multitask.model.heads.base import NetSettings
from multitask.settings import Bool, PositiveFloat

MAX_SCALE = 100.0
"""What a learned scale may become, as in CLIP (Radford et al. 2021): beyond it a step can go anywhere."""


class CosineHead(nn.Module):
    """logits = scale * cos(features, weight of the class); Gidaris and Komodakis 2018, https://arxiv.org/abs/1804.09458.

    Args:
        num_features: F.
        num_classes: C_t.
        dropout: of the features.
        scale: of the cosines, at first.
        learn_scale: whether it is learned, up to ``MAX_SCALE``.
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


class CosineSettings(NetSettings):
    """The cosines between features and a direction for each class, scaled."""

    name: Literal["cosine"] = "cosine"
    scale: PositiveFloat | None = None
    """Of the cosines; where it is learned, at first. None: the square root of the number of features, at which the
    logits begin with a standard deviation of 1, whatever the backbone."""
    learn_scale: Bool = True

    def check(self, task: Task) -> None:
        """A scale beyond the greatest would not be learned."""
        super().check(task)
        if self.learn_scale and self.scale is not None and self.scale >= MAX_SCALE:
            raise ValueError(
                f"heads.{task.name}.net.scale: must be below {MAX_SCALE:g} to be learned, found {self.scale:g}"
            )

    def build(self, widths: Widths, task: Task) -> nn.Module:
        """Reads what is pooled."""
        scale = min(math.sqrt(widths.pooled), MAX_SCALE) if self.scale is None else self.scale
        return CosineHead(widths.pooled, task.num_classes, self.dropout, scale, self.learn_scale)
