"""UPGrad."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from multitask.balancers.settings import TorchJDSettings

if TYPE_CHECKING:
    from torch import Tensor


class UPGradSettings(TorchJDSettings):
    """Each gradient is projected to where it opposes no other, then they are summed: no loss rises at first order.

    Quinton and Rey 2024, section 3, https://arxiv.org/abs/2406.16232.
    """

    name: Literal["upgrad"] = "upgrad"
    packages: ClassVar[tuple[str, ...]] = ("torchjd", "qpsolvers", "quadprog")

    def solve(self, gramian: Tensor) -> Tensor:
        """(K,): in units of each gradient's length, as the solver adds the same to every square of a length."""
        import torch
        from torchjd.aggregation import UPGradWeighting

        lengths = gramian.diagonal().sqrt()
        return UPGradWeighting(pref_vector=lengths)(gramian / torch.outer(lengths, lengths)) / lengths
