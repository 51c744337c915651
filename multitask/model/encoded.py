"""What lies between a backbone and its heads."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Widths:
    """How wide the features of a backbone are.

    Attributes:
        pooled: F.
        map: D, of each place of the last feature map.
    """

    pooled: int
    map: int


@dataclass(frozen=True)
class Encoded:
    """What a backbone makes of B pictures.

    Attributes:
        pooled: (B, F).
        map: (B, N, D), the N places of the last feature map; None where only pooled features were kept.
    """

    pooled: Tensor
    map: Tensor | None = None
