"""Gradient x input, for a backbone without a last map of places."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from multitask.inference.explain.methods import Method, gradient
from multitask.inference.explain.trunk import Trunk

_PARTS = 16


class InputGradient(Method):
    """|Gradient x input| summed over the colours (Shrikumar et al. 2016, https://arxiv.org/abs/1605.01713), averaged
    over squares of a sixteenth of the image's shorter side, since single pixels' gradients are noise.

    For a backbone that pools several maps, or one place only.
    """

    name = "gradient x input"

    def fits(self, trunk: Trunk, head: nn.Module | None) -> bool:
        """Any trunk."""
        return True

    def evidence(self, trunk: Trunk, head: nn.Module | None, score: Tensor) -> Tensor:
        """(B, H, W) of at least 0."""
        product = (trunk.images * gradient(score, trunk.images)).abs().sum(dim=1, keepdim=True)
        side = max(1, min(product.shape[-2:]) // _PARTS)
        return F.avg_pool2d(product, side, ceil_mode=True, count_include_pad=False)[:, 0]
