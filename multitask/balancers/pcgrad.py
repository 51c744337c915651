"""PCGrad."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from multitask.balancers.settings import TorchJDSettings

if TYPE_CHECKING:
    from torch import Tensor


class PCGradSettings(TorchJDSettings):
    """The sum of the gradients, each projected onto the normal plane of every other that it conflicts with, in turn.

    g_i becomes g_i - (g_i' g_j / |g_j| ** 2) g_j for each gradient g_j with g_i' g_j < 0, in random order of j. Yu et
    al. 2020, algorithm 1, https://arxiv.org/abs/2001.06782.

    >>> import torch
    >>> PCGradSettings().solve(torch.tensor([[4.0, -1.0], [-1.0, 1.0]], dtype=torch.float64))
    tensor([1.2500, 2.0000], dtype=torch.float64)
    """

    name: Literal["pcgrad"] = "pcgrad"

    def solve(self, gramian: Tensor) -> Tensor:
        """(K,) a; the order is drawn from torch's own generator, which the loop seeds before every epoch."""
        from torchjd.aggregation import PCGradWeighting

        return PCGradWeighting()(gramian)
