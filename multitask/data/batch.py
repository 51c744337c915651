"""A batch of samples, and the inputs that it is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Inputs(Protocol):
    """The inputs of N samples: their images, or the features that a frozen backbone makes of them."""

    def __len__(self) -> int:
        """N."""

    def take(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """(B, H, W, 3) uint8, or (B, F), of the samples at B indices; a copy."""


Draw = Callable[[NDArray[np.int64], int], NDArray[Any]]
"""The inputs of the samples at B indices, of several that are kept of each, drawn by the seed."""


@dataclass(frozen=True)
class Batch:
    """B samples.

    Attributes:
        images: (B, H, W, 3) uint8; or (B, F), the features that stand for them. In one of several processes those of
            ``rows`` alone, (n, ...), where all else is of the whole batch.
        labels: (B, T) int64, ``MISSING`` where unknown.
        weights: (B,) float32, or (B, T) where each loss has its own.
        numbers: (B, T) float32, the raw numbers that labels were made of, NaN where there is none.
        groups: (B, K) int64, as of ``labelled_groups``, of the tasks that are asked for; None: none is.
        sources: (B,) int64, the places of their sources in ``source_names`` of ``Batches``; None where it has none.
        rows: of which there are images here; None: of all.
    """

    images: Tensor
    labels: Tensor
    weights: Tensor
    numbers: Tensor
    groups: Tensor | None = None
    sources: Tensor | None = None
    rows: slice | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Batch:
        """The batch copied to a device, without waiting for the copy."""
        return self._each(lambda part: part.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory, which a GPU can fetch while it computes."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        groups, sources = (None if part is None else change(part) for part in (self.groups, self.sources))
        images, labels, weights, numbers = map(change, (self.images, self.labels, self.weights, self.numbers))
        return Batch(images, labels, weights, numbers, groups, sources, self.rows)
