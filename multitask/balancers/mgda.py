"""MGDA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from multitask.balancers.settings import TorchJDSettings

if TYPE_CHECKING:
    from torch import Tensor


class MGDASettings(TorchJDSettings):
    """The shortest vector in the convex hull of the gradients, which opposes none of them.

    Désidéri 2012; Sener and Koltun 2018, algorithm 2, https://arxiv.org/abs/1810.04650; times K.
    """

    name: Literal["mgda"] = "mgda"

    def solve(self, gramian: Tensor) -> Tensor:
        """(K,), none below 0, with a sum of K."""
        from torchjd.aggregation import MGDAWeighting

        return len(gramian) * MGDAWeighting()(gramian)
