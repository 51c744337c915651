"""The modules of losses: from a head's log-probabilities and the labels to a scalar.

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

    No state to save: its tensors follow from the config, the training images and the number of the epoch.

    >>> class ZeroOneLoss(TaskLoss):
    ...     def forward(self, log_probs, labels, sample_weights, numbers):
    ...         wrong = (log_probs.argmax(dim=1) != labels).float()
    ...         return weighted_mean(wrong, sample_weights * (labels != MISSING))
    >>> loss = ZeroOneLoss()
    >>> loss.begin_epoch(1, num_epochs=10)
    >>> log_probs, labels = torch.tensor([[0.8, 0.2], [0.4, 0.6]]).log(), torch.tensor([0, 0])
    >>> loss(log_probs, labels, sample_weights=torch.ones(2), numbers=torch.full((2,), torch.nan))
    tensor(0.5000)
    """

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Called before each epoch, counted from 1, for losses that change in the course of training."""

    @abstractmethod
    def forward(self, log_probs: Tensor, labels: Tensor, sample_weights: Tensor, numbers: Tensor) -> Tensor:
        """The loss of a batch; where it is a mean over the samples, their ``weighted_mean``.

        Args:
            log_probs: (B, C_t) float32, the exponentials of a row sum to 1.
            labels: (B,) int64, ``MISSING`` where unknown.
            sample_weights: (B,) not negative; only their ratios matter.
            numbers: (B,) float32, the raw number that the label was made of; NaN where there is none.

        Returns:
            A scalar; an exact zero, still part of the graph, where no sample of a weight above 0 has a label.
        """


class ClasswiseLoss(TaskLoss):
    """A loss l_ic of image i for every class c, of which the label's counts: (1 - e) w_y l_iy + e / C_t sum_c w_c l_ic.

    y is the label of image i, w (C_t,) are the class weights and e is the smoothing.

    Args:
        per_class: (B, C_t) log-probabilities to (B, C_t) losses l, had each class been the label.
        weights: (C_t,) w.
        deferred: the share of the epochs before which every class counts the same.
        smoothing: e, the share of a target that is spread evenly over all classes.

    >>> loss = ClasswiseLoss(torch.neg, weights=torch.tensor([1.0, 3.0]), deferred=0.5)
    >>> log_probs, labels, numbers = torch.tensor([[0.8, 0.2]] * 3).log(), torch.tensor([0, 1, -1]), torch.zeros(3)
    >>> loss.weighted(log_probs)[0]
    tensor([0.2231, 4.8283])
    >>> loss.per_sample(log_probs, labels, numbers)
    tensor([0.2231, 4.8283, 0.0000])
    >>> loss.begin_epoch(5, num_epochs=10)  # of 10 epochs the weights count from the sixth on
    >>> loss.per_sample(log_probs, labels, numbers)
    tensor([0.2231, 1.6094, 0.0000])
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
        # Not saved: they follow from the config and the training images.
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("_even", torch.ones_like(weights), persistent=False)

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Class weights count once the share ``deferred`` of the epochs is over.

        Deferred re-weighting: Cao et al. 2019, section 3.3, https://arxiv.org/abs/1906.07413. They always count in the
        last epoch.
        """
        self._weighs = epoch > self.deferred * num_epochs

    def weighted(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) the loss, had each class been the label, times that class's weight in this epoch."""
        return self.per_class(log_probs) * (self.weights if self._weighs else self._even)

    def per_sample(self, log_probs: Tensor, labels: Tensor, numbers: Tensor) -> Tensor:
        """The loss of each sample, not reduced.

        With smoothing e the target is 1 - e on the label plus e / C_t on every class, and the loss of each class is
        multiplied by that class's weight, as in ``torch.nn.functional.cross_entropy``.

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
    """L_1 + w L_2, with L_1 the first loss and L_2 the second.

    Args:
        first: L_1.
        second: L_2.
        second_weight: w, not negative.

    >>> loss = SumLoss(ClasswiseLoss(torch.neg, torch.ones(2)), ClasswiseLoss(torch.exp, torch.ones(2)), 0.5)
    >>> loss(torch.tensor([[0.8, 0.2]]).log(), torch.tensor([0]), torch.ones(1), torch.zeros(1))  # -log 0.8 + 0.5 * 0.8
    tensor(0.6231)
    """

    def __init__(self, first: TaskLoss, second: TaskLoss, second_weight: float) -> None:
        super().__init__()
        self.first = first
        self.second = second
        self.second_weight = second_weight

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Called before each epoch; both losses are notified."""
        self.first.begin_epoch(epoch, num_epochs)
        self.second.begin_epoch(epoch, num_epochs)

    def forward(self, log_probs: Tensor, labels: Tensor, sample_weights: Tensor, numbers: Tensor) -> Tensor:
        """A scalar, the weighted sum of both losses of the batch."""
        first: Tensor = self.first(log_probs, labels, sample_weights, numbers)
        second: Tensor = self.second(log_probs, labels, sample_weights, numbers)
        return first + self.second_weight * second


class SoftMacroF1(TaskLoss):
    """1 - mean over c of 2 sum_i y_ic p_ic / (sum_i y_ic + sum_i p_ic); symbols as in ``SoftMacroF1Settings``.

    >>> probs, labels = torch.tensor([[0.8, 0.2], [0.4, 0.6]]), torch.tensor([0, 1])
    >>> SoftMacroF1()(probs.log(), labels, torch.ones(2), torch.zeros(2))  # F: 1.6 / 2.2 and 1.2 / 1.8
    tensor(0.3030)
    """

    def forward(self, log_probs: Tensor, labels: Tensor, sample_weights: Tensor, numbers: Tensor) -> Tensor:
        """A scalar, over the samples whose label is known, each counting by its weight in every sum."""
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
    """Cross entropy to a distribution around the label's raw number; symbols as in ``SoftLabelsSettings``.

    Args:
        settings: the distribution, the class weights and by how much they are deferred.
        data: the labels that the head is trained on.

    >>> from multitask.labels import Task
    >>> from multitask.losses.ordinal import SoftLabelsSettings
    >>> data = TrainingLabels(Task("age", ("<30", ">=30"), "binned", (30.0,)), np.ones(2), np.array([20.0, 40.0]))
    >>> loss = SoftLabelLoss(SoftLabelsSettings(width=3.0), data)
    >>> labels, numbers = torch.tensor([0, 1, 1]), torch.tensor([27.0, 30.0, torch.nan])
    >>> loss.targets(labels, numbers)
    tensor([[0.8413, 0.1587],
            [0.5000, 0.5000],
            [0.0000, 1.0000]])
    >>> loss.per_sample(torch.tensor([[0.5, 0.5]] * 3).log(), labels, numbers)
    tensor([0.6931, 0.6931, 0.6931])
    """

    edges: Tensor

    def __init__(self, settings: SoftLabelsSettings, data: TrainingLabels) -> None:
        super().__init__(torch.neg, settings.weights(data.counts), settings.deferred)
        self.settings = settings
        self.register_buffer("edges", torch.tensor(data.task.edges, dtype=torch.float32), persistent=False)

    def targets(self, labels: Tensor, numbers: Tensor) -> Tensor:
        """The target distribution t of each sample.

        Args:
            labels: (B,) int64; where one is ``MISSING`` its row means nothing.
            numbers: (B,) float32, NaN where there is none.

        Returns:
            (B, C_t), rows sum to 1. All on the label where there is no number, or one of another class, as where a
            label was corrected manually.
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
        """(B,) -sum_c t_c w_c log p_c, w the class weights; exactly 0 where the label is missing."""
        losses = (self.targets(labels, numbers) * self.weighted(log_probs)).sum(dim=1)
        return losses * (labels != MISSING)


class JointLoss(nn.Module):
    """A loss over the classes that can occur.

    Args:
        loss: over those, in class order.
        possible: (C,) bool, which can occur.

    >>> loss = JointLoss(ClasswiseLoss(torch.neg, torch.ones(3)), np.array([True, False, True, True]))
    >>> log_probs, classes = torch.tensor([[0.5, 0.0, 0.3, 0.2]]).log(), torch.tensor([2])
    >>> loss.begin_epoch(1, num_epochs=10)
    >>> loss(log_probs, classes, torch.ones(1), torch.full((1,), torch.nan))  # -log 0.3
    tensor(1.2040)
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
        """Passed on."""
        self.loss.begin_epoch(epoch, num_epochs)

    def forward(self, log_probs: Tensor, labels: Tensor, sample_weights: Tensor, numbers: Tensor) -> Tensor:
        """A scalar, from (B, C) log-probabilities and (B,) classes; the rest as of ``TaskLoss``."""
        loss: Tensor = self.loss(log_probs[:, self.columns], self.places[labels], sample_weights, numbers)
        return loss
