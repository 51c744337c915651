"""PCGrad."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from multitask.balancers.settings import TorchJDSettings

if TYPE_CHECKING:
    from torch import Tensor


class PCGradSettings(TorchJDSettings):
    """Each gradient loses its part against every other that it opposes, in random order; then they are summed.

    Yu et al. 2020, algorithm 1, https://arxiv.org/abs/2001.06782.
    """

    name: Literal["pcgrad"] = "pcgrad"

    def solve(self, gramian: Tensor) -> Tensor:
        """(K,) from torch's own generator's order, which the loop seeds at the beginning of every epoch."""
        from torchjd.aggregation import PCGradWeighting

        return PCGradWeighting()(gramian)
