"""MGDA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from multitask.balancers.settings import TorchJDSettings

if TYPE_CHECKING:
    from torch import Tensor


class MGDASettings(TorchJDSettings):
    """The shortest vector in the convex hull of the gradients, which opposes none of them; times K.

    a = K argmin over b of b' G b with b >= 0 and sum_i b_i = 1, G (K, K) being the Gramian of the K gradients.
    Désidéri 2012; Sener and Koltun 2018, algorithm 2, https://arxiv.org/abs/1810.04650. The minimum is approached by
    steps of Frank and Wolfe's, at most 100: of three losses or more the vector is off by about 2% of its length.

    >>> import torch
    >>> MGDASettings().solve(torch.tensor([[4.0, 0.0], [0.0, 1.0]], dtype=torch.float64))
    tensor([0.4000, 1.6000], dtype=torch.float64)
    """

    name: Literal["mgda"] = "mgda"

    def solve(self, gramian: Tensor) -> Tensor:
        """(K,) a, not negative, with a sum of K."""
        from torchjd.aggregation import MGDAWeighting

        return len(gramian) * MGDAWeighting()(gramian)
