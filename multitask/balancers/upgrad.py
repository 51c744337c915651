"""UPGrad."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from multitask.balancers.settings import TorchJDSettings

if TYPE_CHECKING:
    from torch import Tensor


class UPGradSettings(TorchJDSettings):
    """The sum of the gradients, each projected onto the dual cone of all: no loss rises at first order.

    Each g_i becomes the nearest vector v with g_j' v >= 0 for every gradient g_j. Quinton and Rey 2024, section 3,
    https://arxiv.org/abs/2406.16232.

    >>> import torch
    >>> UPGradSettings().solve(torch.tensor([[4.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)).round(decimals=2)
    tensor([1.2500, 2.0000], dtype=torch.float64)
    """

    name: Literal["upgrad"] = "upgrad"
    packages: ClassVar[tuple[str, ...]] = ("torchjd", "qpsolvers", "quadprog")

    def solve(self, gramian: Tensor) -> Tensor:
        """(K,) a, solved for unit gradients, since the solver adds the same constant to every squared length."""
        import torch
        from torchjd.aggregation import UPGradWeighting

        lengths = gramian.diagonal().sqrt()
        return UPGradWeighting(pref_vector=lengths)(gramian / torch.outer(lengths, lengths)) / lengths
