"""The exponential average of a network's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

import multitask.model.vision_ops  # noqa: F401  (before timm)
from multitask.training.sharded_tensors import local

from timm.utils import ModelEmaV3  # isort: skip

if TYPE_CHECKING:
    from multitask.training.settings import EMASettings


class WeightEMA(ModelEmaV3):  # type: ignore[misc]  # timm has no types
    """timm's average, of all that is finite: buffers that hold an infinity are copied.

    Bounds of activations, as those of Gemma's ViT, begin at -inf and inf, of which any average is NaN.

    Args:
        network: that is averaged.
        settings: the ``training.ema`` section.

    Attributes:
        unbounded: the names of those buffers.
    """

    def __init__(self, network: nn.Module, settings: EMASettings) -> None:
        super().__init__(network, decay=settings.decay, use_warmup=settings.warmup)
        self.unbounded = frozenset(
            name
            for name, value in network.named_buffers()
            if value.is_floating_point() and not bool(local(value).isfinite().all())
        )

    @torch.no_grad()
    def update(self, model: nn.Module, step: int | None = None) -> None:
        """Takes the weights after a step into the average."""
        super().update(model, step)
        if self.unbounded:
            found: dict[str, Any] = dict(model.named_buffers())
            for name, value in self.module.named_buffers():
                if name in self.unbounded:
                    value.copy_(found[name])
