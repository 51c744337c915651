"""CAGrad."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from multitask.balancers.settings import TorchJDSettings
from multitask.settings import NonNegativeFloat

if TYPE_CHECKING:
    from torch import Tensor


class CAGradSettings(TorchJDSettings):
    """The direction in which the loss that improves least improves most, within a ball around the mean gradient.

    a' J = K argmax over d of min_i g_i' d with |d - g| <= ``c`` |g|, where g_i is the gradient of loss i (row i of the
    Jacobian J) and g their mean. Liu et al. 2021, algorithm 1, https://arxiv.org/abs/2110.14048; times K, the number of
    losses, so that ``c`` 0 is the plain sum.

    >>> import torch
    >>> CAGradSettings(c=0.0).solve(torch.tensor([[4.0, 0.0], [0.0, 1.0]], dtype=torch.float64))
    tensor([1., 1.], dtype=torch.float64)
    """

    name: Literal["cagrad"] = "cagrad"
    packages: ClassVar[tuple[str, ...]] = ("torchjd", "cvxpy", "clarabel")
    c: NonNegativeFloat = 0.5
    """The radius of the ball in lengths of the mean; from 1 on the mean loss may rise for the worst to fall."""

    def solve(self, gramian: Tensor) -> Tensor:
        """(K,) the coefficients a."""
        from torchjd.aggregation import CAGradWeighting

        return len(gramian) * CAGradWeighting(c=self.c)(gramian)
