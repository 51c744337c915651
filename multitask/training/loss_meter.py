"""The losses of an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class LossMeter:
    """The losses of one epoch, each the mean over the samples that have its label; on the device until it is read.

    Args:
        names: K losses.
        device: theirs.
    """

    def __init__(self, names: tuple[str, ...], device: torch.device) -> None:
        self.names = names
        self._rows: list[Tensor] = []
        self._checked = 0
        self._sums = torch.zeros(len(names) + 1, dtype=torch.float64, device=device)
        self._labelled_sums = torch.zeros(len(names), dtype=torch.float64, device=device)
        self._labelled = torch.zeros(len(names), dtype=torch.float64, device=device)
        self._num_images = 0

    def add(self, total: Tensor, losses: Mapping[str, Tensor], labelled: Tensor, num_images: int) -> None:
        """The losses of one batch.

        Args:
            total: what the balancer made of them.
            losses: by name, the mean over the batch's labelled samples.
            labelled: (K,) the weight of those samples.
            num_images: of the batch.
        """
        row = torch.stack([total, *(losses[name] for name in self.names)])
        self._rows.append(row)
        self._sums += row * num_images
        self._labelled_sums += row[1:] * labelled
        self._labelled += labelled
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

    def state(self) -> dict[str, Any]:
        """What the batches so far have left, once ``first_not_finite`` has looked at them."""
        assert not self._rows, "some batches were not looked at"
        return {
            "checked": self._checked,
            "sums": self._sums,
            "labelled_sums": self._labelled_sums,
            "labelled": self._labelled,
            "num_images": self._num_images,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes up what ``state`` gave."""
        self._checked, self._num_images = int(state["checked"]), int(state["num_images"])
        for own, name in ((self._sums, "sums"), (self._labelled_sums, "labelled_sums"), (self._labelled, "labelled")):
            own.copy_(state[name])

    def heads(self) -> dict[str, float]:
        """The mean loss of each head so far, over its labelled samples; NaN where there was none."""
        return dict(zip(self.names, self._means().tolist(), strict=True))

    def _means(self) -> Tensor:
        return self._labelled_sums / self._labelled

    def total(self, weights: Mapping[str, float]) -> float:
        """The balanced loss of the epoch.

        A batch with few labels of a head, or none, has little of that head's loss in its total. So to the mean of the
        totals is added, for each head, what its mean over the labelled samples is more than its mean over the batches:
        exactly 0 where every sample has its labels and weighs 1.

        Args:
            weights: what each loss counts at the epoch's end, 1 where none is given. Where weights move within an epoch
                what is added is an approximation.
        """
        totals = self._sums / max(self._num_images, 1)
        lacking = (self._means() - totals[1:]).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)  # NaN: no label at all
        counts = lacking.new_tensor([weights.get(name, 1.0) for name in self.names])
        return float(totals[0] + (counts * lacking).sum())
