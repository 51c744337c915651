"""The modules that losses build: from a head's log-probabilities and the labels to a scalar.

Their settings, which a config is checked by without torch, stand in the files beside this one.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from multitask.labels import MISSING
from multitask.losses.reduction import weighted_mean
from multitask.losses.training_labels import TrainingLabels

if TYPE_CHECKING:
    from multitask.losses.ordinal import SoftLabelsSettings


class TaskLoss(nn.Module):
    """The loss of one head.

    It has no state to save: what it knows follows from the config, the training pictures and the epoch's number.
    """

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Told before each epoch, from 1, which one it is: some losses change as training goes on."""

    @abstractmethod
    def forward(self, log_probs: Tensor, labels: Tensor, sample_weights: Tensor, numbers: Tensor) -> Tensor:
        """The loss of a batch: of a loss that samples have one by one, their ``weighted_mean``.

        Args:
            log_probs: (B, C_t) float32, the exponentials of a row sum to 1.
            labels: (B,) int64, ``MISSING`` where unknown.
            sample_weights: (B,) not negative; only their ratios matter.
            numbers: (B,) float32, the raw number that the label was made of; NaN where there is none.

        Returns:
            A scalar; an exact zero, still part of the graph, where no sample that weighs anything has a label.
        """


class ClasswiseLoss(TaskLoss):
    """A loss that says what a picture would lose if each class were its label.

    Args:
        per_class: (B, C_t) log-probabilities to (B, C_t) losses, had each class been the label.
        weights: (C_t,) of the classes.
        deferred: the share of the epochs before which every class counts the same.
        smoothing: the share of a target that is spread evenly over all classes.
    """

    weights: Tensor
    _even: Tensor

    def __init__(
        self, per_class: Callable[[Tensor], Tensor], weights: Tensor, deferred: float = 0.0, smoothing: float = 0.0
    ) -> None:
        super().__init__()
        self.per_class = per_class
        self.deferred = deferred
        self.smoothing = smoothing
        self._weighs = True
        # Not saved: they follow from the config and the training pictures.
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("_even", torch.ones_like(weights), persistent=False)

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Class weights count once the share of the epochs that they are deferred by is over.

        Deferred re-weighting: Cao et al. 2019, section 3.3, https://arxiv.org/abs/1906.07413. They always count in the
        last epoch.
        """
        self._weighs = epoch > self.deferred * num_epochs

    def weighted(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) the loss, had each class been the label, times that class's weight at present."""
        return self.per_class(log_probs) * (self.weights if self._weighs else self._even)

    def per_sample(self, log_probs: Tensor, labels: Tensor, numbers: Tensor) -> Tensor:
        """The loss of each sample, not reduced.

        With smoothing e the target is 1 - e on the label and e / C_t on every class; each class's part carries that
        class's weight, as in ``torch.nn.functional.cross_entropy``.

        Args:
            log_probs: (B, C_t) float32.
            labels: (B,) int64, ``MISSING`` where unknown.
            numbers: (B,) float32, the raw number that the label was made of; NaN where there is none.

        Returns:
            (B,), exactly 0 and still part of the graph where the label is missing.
        """
        weighted = self.weighted(log_probs)
        known = labels != MISSING
        loss = weighted.gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1)
        if self.smoothing:
            loss = (1 - self.smoothing) * loss + self.smoothing * weighted.mean(dim=1)
        return loss * known

    def forward(self, log_probs: Tensor, labels: Tensor, sample_weights: Tensor, numbers: Tensor) -> Tensor:
        """The weighted mean over the samples whose label is known."""
        return weighted_mean(self.per_sample(log_probs, labels, numbers), sample_weights * (labels != MISSING))


class SumLoss(TaskLoss):
    """The first loss, and the second times its weight.

    Args:
        first: counts whole.
        second: counts by its weight.
        second_weight: not negative.
    """

    def __init__(self, first: TaskLoss, second: TaskLoss, second_weight: float) -> None:
        super().__init__()
        self.first = first
        self.second = second
        self.second_weight = second_weight

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Tells both."""
        self.first.begin_epoch(epoch, num_epochs)
        self.second.begin_epoch(epoch, num_epochs)

    def forward(self, log_probs: Tensor, labels: Tensor, sample_weights: Tensor, numbers: Tensor) -> Tensor:
        """A scalar."""
        first = self.first(log_probs, labels, sample_weights, numbers)
        return first + self.second_weight * self.second(log_probs, labels, sample_weights, numbers)


class SoftMacroF1(TaskLoss):
    """1 less the mean, over the classes that the batch holds, of an F1 in which probabilities stand for decisions."""

    def forward(self, log_probs: Tensor, labels: Tensor, sample_weights: Tensor, numbers: Tensor) -> Tensor:
        """Of the samples whose label is known, each counting by its weight in every count."""
        weights = (sample_weights * (labels != MISSING)).unsqueeze(1)
        given = torch.nn.functional.one_hot(labels.clamp(min=0), log_probs.shape[1]) * weights
        predicted = log_probs.exp() * weights
        hits = (log_probs.exp() * given).sum(dim=0)
        total = given.sum(dim=0) + predicted.sum(dim=0)
        held = given.sum(dim=0) > 0
        f1 = 2 * hits / torch.where(held, total, torch.ones_like(total))
        # 1 - F1 class by class: where none is held the sum is an exact zero that is part of the graph.
        return ((1 - f1) * held).sum() / held.sum().clamp(min=1)


class SoftLabelLoss(ClasswiseLoss):
    """Cross entropy to a distribution around the number that the label was made of.

    Args:
        settings: which distribution.
        data: the labels that it is trained on.
    """

    edges: Tensor

    def __init__(self, settings: SoftLabelsSettings, data: TrainingLabels) -> None:
        super().__init__(torch.neg, settings.weights(data.counts), settings.deferred)
        self.settings = settings
        self.register_buffer("edges", torch.tensor(data.task.edges, dtype=torch.float32), persistent=False)

    def targets(self, labels: Tensor, numbers: Tensor) -> Tensor:
        """What the answers should be.

        Args:
            labels: (B,) int64; where one is ``MISSING`` its row means nothing.
            numbers: (B,) float32, NaN where there is none.

        Returns:
            (B, C_t), rows sum to 1. All on the label where there is no number, or one of another class, as where a
            label was corrected by hand.
        """
        at = (self.edges - numbers.unsqueeze(1) - self.settings.offset) / self.settings.width
        below = self.settings.cumulative(at)
        ends = (torch.zeros_like(below[:, :1]), torch.ones_like(below[:, :1]))
        soft = torch.cat([below, ends[1]], dim=1) - torch.cat([ends[0], below], dim=1)
        hard = nn.functional.one_hot(labels.clamp(min=0), len(self.edges) + 1).to(soft.dtype)
        made = (numbers.unsqueeze(1) >= self.edges).sum(dim=1)
        agrees = ~numbers.isnan() & (made == labels)
        return torch.where(agrees.unsqueeze(1), soft, hard)

    def per_sample(self, log_probs: Tensor, labels: Tensor, numbers: Tensor) -> Tensor:
        """(B,), each class's part with that class's weight."""
        losses = (self.targets(labels, numbers) * self.weighted(log_probs)).sum(dim=1)
        return losses * (labels != MISSING)


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
