"""CAGrad."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from multitask.balancers.settings import TorchJDSettings
from multitask.settings import NonNegativeFloat

if TYPE_CHECKING:
    from torch import Tensor


class CAGradSettings(TorchJDSettings):
    """The worst loss falls most, within a ball around the mean gradient whose radius is ``c`` of its length.

    Liu et al. 2021, algorithm 1, https://arxiv.org/abs/2110.14048; times K, so that 0 is the plain sum.
    """

    name: Literal["cagrad"] = "cagrad"
    packages: ClassVar[tuple[str, ...]] = ("torchjd", "cvxpy", "clarabel")
    c: NonNegativeFloat = 0.5
    """From 0, the mean, on; from 1 on the mean may rise for the worst to fall."""

    def solve(self, gramian: Tensor) -> Tensor:
        """(K,)."""
        from torchjd.aggregation import CAGradWeighting

        return len(gramian) * CAGradWeighting(c=self.c)(gramian)
