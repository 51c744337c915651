"""What a loss is: its settings, and the module that they build."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from multitask.labels import MISSING, Task
from multitask.objective.class_weights import ClassWeightSettings, ExplicitWeights, NoWeights
from multitask.objective.training_labels import UNSEEN, FloatArray, TrainingLabels
from multitask.settings import Settings


class TaskLoss(nn.Module):
    """The loss of one head.

    It has no state to save: what it knows follows from the config, the training pictures and the epoch's number.
    """

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Told before each epoch, from 1, which one it is: some losses change as training goes on."""

    @abstractmethod
    def forward(self, log_probs: Tensor, labels: Tensor, sample_weights: Tensor, numbers: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            log_probs: (B, C_t) float32, the exponentials of a row sum to 1.
            labels: (B,) int64, ``MISSING`` where unknown.
            sample_weights: (B,).
            numbers: (B,) float32, the raw number that the label was made of; NaN where there is none.

        Returns:
            A scalar; an exact zero, still part of the graph, where no label is known.
        """


class LossSettings(Settings):
    """A loss: its settings, and how it is built.

    A loss has the keys that mean something to it and no others, so that none is set in vain.
    """

    name: str
    needs_order: ClassVar[bool] = False
    """Whether the task's classes must be in order."""
    needs_numbers: ClassVar[bool] = False
    """Whether the task's labels must be made of numbers."""

    @abstractmethod
    def build(self, data: TrainingLabels) -> TaskLoss:
        """The loss of a head that is trained on these labels."""

    def problems(self, task: Task) -> Iterator[str]:
        """Why it cannot be the loss of a task: ``key: rule, what was found``, a line each."""
        if self.needs_numbers and task.kind != "binned":
            yield f"name: {self.name} needs raw numbers, which only a binned task has; {task.name} is {task.kind}"
        elif self.needs_order and task.kind == "nominal":
            yield f"name: {self.name} needs classes in order; {task.name} is nominal"
        weights = self.weighting()
        if isinstance(weights, ExplicitWeights) and len(weights.values) != task.num_classes:
            yield (
                f"class_weights.values: must be {task.num_classes}, one for each of "
                f"{', '.join(task.classes[:6])}{', ...' if task.num_classes > 6 else ''}; "
                f"found {len(weights.values)}"
            )

    def weighting(self) -> ClassWeightSettings:
        """How its classes are weighted."""
        return NoWeights()

    def weights(self, counts: FloatArray) -> Tensor:
        """(C_t,) float32 class weights, of mean 1 over the training pictures that ``counts`` (C_t,) counts."""
        return self.weighting().scaled(counts)

    def implied_log_prior(self, counts: FloatArray) -> FloatArray:
        """The prior of the classes that the trained head's probabilities contain, for who wants to take it out again.

        Here that of every loss whose minimum is the posterior of weighted pictures: the frequency times the class
        weight. That is exact for cross entropy; the others share its decisions but not its probabilities, so that for
        them it is an approximation. Deferred weights count whole.

        Args:
            counts: (C_t,) training pictures of each class.

        Returns:
            (C_t,) finite; the exponentials sum to 1. A class that was never seen, or that weighs nothing, is taken to
            have been seen half a time.
        """
        weights = self.weights(counts).double().numpy()
        return _log_prior(self._target_counts(counts), weights)

    def _target_counts(self, counts: FloatArray) -> FloatArray:
        """(C_t,) how often each class is a target."""
        return counts


def _log_prior(counts: FloatArray, weights: FloatArray) -> FloatArray:
    floor = UNSEEN * weights[weights > 0].min(initial=np.inf)
    mass = np.maximum(weights * np.maximum(counts, UNSEEN), floor)
    return np.asarray(np.log(mass / mass.sum()))


class JointLoss(nn.Module):
    """A loss of the classes that can occur.

    Args:
        loss: over those, in class order.
        possible: (C,) bool.
    """

    columns: Tensor
    places: Tensor

    def __init__(self, loss: TaskLoss, possible: NDArray[np.bool_]) -> None:
        super().__init__()
        self.loss = loss
        columns = torch.from_numpy(np.flatnonzero(possible))
        places = torch.full((len(possible) + 1,), MISSING)  # the last is that of a missing class
        places[columns] = torch.arange(len(columns))
        self.register_buffer("columns", columns, persistent=False)
        self.register_buffer("places", places, persistent=False)

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Told before each epoch, from 1, which one it is."""
        self.loss.begin_epoch(epoch, num_epochs)

    def forward(self, log_probs: Tensor, labels: Tensor, sample_weights: Tensor, numbers: Tensor) -> Tensor:
        """As of ``TaskLoss``, of (B, C) log-probabilities and (B,) classes."""
        return self.loss(log_probs[:, self.columns], self.places[labels], sample_weights, numbers)
