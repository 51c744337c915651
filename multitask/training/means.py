"""The losses of an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class Means:
    """The losses of one epoch, on the device until somebody looks."""

    def __init__(self, names: tuple[str, ...], device: torch.device) -> None:
        self.names = names
        self._rows: list[Tensor] = []
        self._checked = 0
        self._sums = torch.zeros(len(names) + 1, dtype=torch.float64, device=device)
        self._num_images = 0

    def add(self, total: Tensor, losses: Mapping[str, Tensor], num_images: int) -> None:
        """The losses of one batch."""
        row = torch.stack([total, *(losses[name] for name in self.names)])
        self._rows.append(row)
        self._sums += row * num_images
        self._num_images += num_images

    def first_not_finite(self) -> tuple[int, str, float] | None:
        """The first batch (from 1) since the last look with a head whose loss is NaN or infinite."""
        fresh = torch.stack(self._rows)
        self._rows.clear()
        start, self._checked = self._checked, self._checked + len(fresh)
        wrong = (~torch.isfinite(fresh)).nonzero()
        if not len(wrong):
            return None
        batch, column = wrong[0].tolist()
        # The total is not finite too: name the head that made it so, if one did.
        columns = [c for b, c in wrong.tolist() if b == batch and c > 0] or [column]
        name = self.names[columns[0] - 1] if columns[0] > 0 else "all"
        return start + batch + 1, name, float(fresh[batch, columns[0]])

    def heads(self) -> dict[str, float]:
        """The mean loss of each head so far."""
        return dict(zip(self.names, (self._sums[1:] / max(self._num_images, 1)).tolist(), strict=True))

    def record(self) -> dict[str, Any]:
        """The epoch's means, as ``metrics.jsonl`` has them."""
        return {
            "loss": float(self._sums[0] / max(self._num_images, 1)),
            "tasks": {name: {"loss": value} for name, value in self.heads().items()},
        }
