"""The record of one epoch of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from multitask.data.mixup import BatchTargets
from multitask.labels import LabelSpace
from multitask.progress import HeadLosses, TrainingScores
from multitask.training.gradient_conflict import Conflict
from multitask.training.likelihood import LikelihoodMeter
from multitask.training.loss_meter import LossMeter


@dataclass(frozen=True)
class TrainedBatch:
    """A batch after its backward pass; nothing in it is part of a graph.

    Attributes:
        total: what the balancer made of the losses.
        losses: by name.
        outputs: log-probabilities, by name.
        targets: of the batch.
        consistency: what was added to a head's loss where a group's answers differ, by name.
    """

    total: Tensor
    losses: dict[str, Tensor]
    outputs: Mapping[str, Tensor]
    targets: BatchTargets
    consistency: Mapping[str, Tensor] = field(default_factory=dict)


class EpochMeter:
    """The losses of one epoch, the likelihood of its labels, and how far the losses' gradients conflict.

    Args:
        names: of the losses.
        space: that of the heads, for the likelihood; None: it is not recorded.
        num_batches: of the epoch.
        device: the network's.

    Attributes:
        losses: the means so far.
        conflict: looks at batches between their forward and their backward pass.
    """

    def __init__(
        self, names: tuple[str, ...], space: LabelSpace | None, num_batches: int, device: torch.device
    ) -> None:
        self.losses = LossMeter(names, device)
        self.conflict = Conflict(num_batches)
        self._likelihood = None if space is None else LikelihoodMeter(space, device)
        self._num_batches = num_batches
        self._device = device
        self._num_mixed = 0
        self._num_images = 0
        self._consistency: dict[str, Tensor] = {}

    def add(self, batch: TrainedBatch, num_images: int) -> None:
        """Counts a batch of so many images."""
        self.losses.add(batch.total, batch.losses, batch.targets.labelled_weights(), num_images)
        self._num_mixed += batch.targets.partner is not None
        self._num_images += num_images
        for name, loss in batch.consistency.items():
            self._consistency[name] = self._consistency.get(name, torch.zeros_like(loss)) + loss * num_images
        if self._likelihood is not None:
            self._likelihood.add(batch.outputs, batch.targets)

    def state(self) -> dict[str, Any]:
        """What the batches so far have left, to go on from in the middle of the epoch."""
        return {
            "losses": self.losses.state(),
            "conflict": self.conflict.state(),
            "likelihood": None if self._likelihood is None else self._likelihood.state(),
            "num_mixed": self._num_mixed,
            "num_images": self._num_images,
            "consistency": dict(self._consistency),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes up what ``state`` gave."""
        self.losses.load(state["losses"])
        self.conflict.load(state["conflict"], self._device)
        if self._likelihood is not None:
            self._likelihood.load(state["likelihood"])
        self._num_mixed, self._num_images = int(state["num_mixed"]), int(state["num_images"])
        self._consistency = {name: total.to(self._device) for name, total in state["consistency"].items()}

    def record(self, weights: Mapping[str, float]) -> TrainingScores:
        """``train`` of the epoch's record, as ``metrics.jsonl`` has it.

        Args:
            weights: what each loss counts at the epoch's end, as the balancer says.
        """
        likelihood: float | None = None
        by_task: dict[str, float] = {}
        if self._likelihood is not None:
            likelihood, by_task = self._likelihood.record()
        conflict, conflict_steps = self.conflict.record()
        return TrainingScores(
            loss=self.losses.total(weights),
            tasks={name: HeadLosses(loss=loss, nll=by_task.get(name)) for name, loss in self.losses.heads().items()},
            weights=dict(weights),
            conflict=conflict,
            conflict_steps=conflict_steps,
            mixed=self._num_mixed / self._num_batches if self._num_mixed else None,
            nll=likelihood,
            consistency={name: float(total) / self._num_images for name, total in self._consistency.items()} or None,
        )
