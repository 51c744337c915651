"""Conflict of gradients: the cosines between the losses' gradients at the shared features."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from multitask.balancers.base import Step
from multitask.progress import ConflictSteps

NUM_BATCHES = 8
"""Of an epoch, evenly spread: a look at all of them would say little more."""

Means = dict[str, dict[str, float | None]]
Steps = dict[str, dict[str, ConflictSteps]]
ConflictRecord = tuple[Means, Steps] | tuple[None, None]


class Conflict:
    """The cosine of every two losses' gradients at the shared features, over one epoch.

    Measuring changes nothing: no gradient of a parameter, no random number. It takes a backward pass through the heads
    alone for each loss.

    Args:
        num_batches: of the epoch.
    """

    def __init__(self, num_batches: int) -> None:
        num = min(NUM_BATCHES, num_batches)
        self.looked_at = {(2 * place + 1) * num_batches // (2 * num) for place in range(num)}
        self._names: tuple[str, ...] = ()
        self._found: list[Tensor] = []

    def look(self, number: int, losses: Mapping[str, Tensor], step: Step) -> None:
        """Measures a batch, if it is one of those that are sampled.

        Args:
            number: of the batch, from 0.
            losses: by name, scalars of the graph.
            step: that of the batch.
        """
        if number not in self.looked_at or step.features is None or len(losses) < 2:
            return
        self._names = tuple(losses)
        rows = step.jacobian(torch.stack(list(losses.values())))
        reached = (rows.view(len(rows), len(step.features), -1) != 0).any(dim=2).float()
        together = step.whole(reached @ reached.T)
        # A row of zeros, as of a batch without a label of the task, has no direction: NaN.
        if step.over_ranks is None:
            rows = rows / rows.norm(dim=1, keepdim=True)
            cosines = rows @ rows.T
        else:
            products = step.over_ranks(rows @ rows.T)
            norms = products.diagonal().sqrt()
            cosines = products / torch.outer(norms, norms)
        # Where no image has both labels the gradients never meet, and say nothing of each other.
        self._found.append(cosines.masked_fill(together == 0, torch.nan))

    def state(self) -> dict[str, Any]:
        """What the batches so far have left."""
        return {"names": list(self._names), "found": list(self._found)}

    def load(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Takes up what ``state`` gave."""
        self._names = tuple(state["names"])
        self._found = [found.to(device) for found in state["found"]]

    def record(self) -> ConflictRecord:
        """The cosines of each pair, ``[one][other]`` with one before other in the order of the losses.

        Returns:
            The mean cosine over the batches that were looked at and tell of the pair, None where none does, as where no
            image has both labels; and over how many it is, with the cosine's standard deviation, None of fewer than
            two. Both None where the losses share nothing.
        """
        if not self._found:
            return None, None
        found = torch.stack(self._found).double().cpu()
        means: Means = {}
        steps: Steps = {}
        for one, other in combinations(range(len(self._names)), 2):
            cosines = found[:, one, other]
            cosines = cosines[~cosines.isnan()]
            num = len(cosines)
            names = self._names[one], self._names[other]
            means.setdefault(names[0], {})[names[1]] = float(cosines.mean()) if num else None
            sd = float(cosines.std()) if num > 1 else None
            steps.setdefault(names[0], {})[names[1]] = ConflictSteps(num=num, sd=sd)
        return means, steps
