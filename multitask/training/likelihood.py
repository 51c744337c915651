"""The negative log-likelihood of the training labels, the same quantity as the validation loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from multitask.data.mixup import BatchTargets
from multitask.labels import JOINT, MISSING, LabelSpace


class LikelihoodMeter:
    """The mean negative log-likelihood of the labels over one epoch, from the very outputs that the losses are of.

    It is the same quantity as the validation loss, whatever loss is configured: over the labelled samples, each
    counting once, and each task's from the marginals of the classes' probabilities. A mixed image counts for each of
    its two sides by its share.

    Args:
        space: the label space that is learned.
        device: the network's.
    """

    def __init__(self, space: LabelSpace, device: torch.device) -> None:
        self.space = space
        self._sums = torch.zeros(space.num_tasks + 1, dtype=torch.float64, device=device)
        self._counts = torch.zeros_like(self._sums)

    @torch.no_grad()
    def add(self, outputs: Mapping[str, Tensor], targets: BatchTargets) -> None:
        """One batch.

        Args:
            outputs: per task of ``space``, (B, C_t) log-probabilities; (B, C) ``joint`` where there is a joint term.
            targets: its labels begin with a column for each task.
        """
        joint = outputs.get(JOINT)
        if joint is None and not self.space.possible.all():
            joint = self.space.joint_log_probs(outputs)
        tasks = outputs if joint is None else self.space.marginal_log_probs(joint)
        for share, side in targets.sides():
            labels = side.labels[:, : self.space.num_tasks]
            known = labels > MISSING  # of a partial label below it, no class is known
            found = [_picked(tasks[name], labels[:, column]) for column, name in enumerate(self.space.task_names)]
            whole = known.all(dim=1)
            losses = torch.stack(found, dim=1).where(known, 0.0)
            of_class = losses.sum(dim=1) if joint is None else _picked(joint, self._classes(labels))
            self._sums += share * torch.cat([losses.sum(dim=0), of_class.where(whole, 0.0).sum().unsqueeze(0)])
            self._counts += share * torch.cat([known.sum(dim=0), whole.sum().unsqueeze(0)])

    def state(self) -> dict[str, Tensor]:
        """What the batches so far have left."""
        return {"sums": self._sums, "counts": self._counts}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes up what ``state`` gave."""
        self._sums.copy_(state["sums"])
        self._counts.copy_(state["counts"])

    def _classes(self, labels: Tensor) -> Tensor:
        """(B,) the class of (B, T) labels; meaningless where one is missing."""
        classes = torch.zeros_like(labels[:, 0])
        for column, size in enumerate(self.space.sizes):
            classes = classes * size + labels[:, column].clamp(min=0)
        return classes

    def record(self) -> tuple[float, dict[str, float]]:
        """Of the class, over the samples with all labels, and by task; NaN where no sample has the label."""
        *tasks, joint = (self._sums / self._counts).tolist()
        return joint, dict(zip(self.space.task_names, tasks, strict=True))


def _picked(log_probs: Tensor, labels: Tensor) -> Tensor:
    """(B,) the negative log-probability of each label; meaningless where it is missing."""
    return -log_probs.float().gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1)
