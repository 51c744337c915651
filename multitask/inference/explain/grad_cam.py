"""Grad-CAM: the contribution of each place of the last feature map."""

from __future__ import annotations

from torch import Tensor, nn

from multitask.inference.explain.methods import Method, gradient
from multitask.inference.explain.trunk import Trunk


class GradCAM(Method):
    """Gradient x activation of the last feature map, summed over its channels.

    Of a mean-pooled map that is Grad-CAM (Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391), since the gradient
    is then the same at all places; of any other pooling it is HiResCAM (Draelos and Carin 2020,
    https://arxiv.org/abs/2011.08891), which weighs each place by its own gradient. Of a ViT whose tokens are pooled it
    is gradient x token.
    """

    name = "Grad-CAM"

    def fits(self, trunk: Trunk, head: nn.Module | None) -> bool:
        """A map whose places are pooled themselves."""
        return trunk.grid is not None and not trunk.by_token

    def evidence(self, trunk: Trunk, head: nn.Module | None, score: Tensor) -> Tensor:
        """(B, h, w)."""
        features = trunk.encoded.features
        assert features is not None
        product = features * gradient(score, features)
        if features.ndim == 3:
            return trunk.to_grid(product.sum(dim=2))
        return product.sum(dim=3 if trunk.channels_last else 1)
