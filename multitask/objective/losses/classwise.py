"""Losses that are the mean, over the pictures, of what each would lose if a class were its label."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field, model_validator
from torch import Tensor

from multitask.labels import MISSING
from multitask.objective.class_weights import AnyClassWeights, ClassWeightSettings, NoWeights
from multitask.objective.losses.base import LossSettings, TaskLoss
from multitask.objective.training_labels import FloatArray, TrainingLabels
from multitask.settings import Float

Deferred = Annotated[Float, Field(ge=0, lt=1)]
Smoothing = Annotated[Float, Field(ge=0, lt=1)]


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
        """The mean over the samples whose label is known, each counting by its weight."""
        num_known = (labels != MISSING).sum().clamp(min=1)
        return (self.per_sample(log_probs, labels, numbers) * sample_weights).sum() / num_known


class WeightedSettings(LossSettings):
    """What a loss with class weights has."""

    class_weights: AnyClassWeights = NoWeights()
    deferred: Deferred = 0.0
    """The share of the epochs before which every class counts the same; 0: class weights count from the start."""

    @model_validator(mode="after")
    def _check_deferred(self) -> WeightedSettings:
        if self.deferred and isinstance(self.class_weights, NoWeights):
            raise ValueError(f"deferred: {self.deferred:g} would be ignored, since class_weights is none")
        return self

    def weighting(self) -> ClassWeightSettings:
        """As set."""
        return self.class_weights


class ClasswiseSettings(WeightedSettings):
    """What a loss has that says what every class would cost: class weights and label smoothing."""

    smoothing: Smoothing = 0.0
    """The share of a target that is spread evenly over all classes."""

    def build(self, data: TrainingLabels) -> TaskLoss:
        """The weighted mean over the pictures."""
        return ClasswiseLoss(self.with_data(data), self.weights(data.counts), self.deferred, self.smoothing)

    @abstractmethod
    def with_data(self, data: TrainingLabels) -> Callable[[Tensor], Tensor]:
        """(B, C_t) log-probabilities to (B, C_t) losses, had each class been the label.

        A module where it needs to know of the training labels, so that what it knows moves to the device.
        """

    def _target_counts(self, counts: FloatArray) -> FloatArray:
        return (1 - self.smoothing) * counts + self.smoothing * counts.mean()


class PlainSettings(ClasswiseSettings):
    """A loss that needs to know nothing of the training labels."""

    def with_data(self, data: TrainingLabels) -> Callable[[Tensor], Tensor]:
        """``per_class``, whatever they are."""
        return self.per_class

    @abstractmethod
    def per_class(self, log_probs: Tensor) -> Tensor:
        """The loss, had each class been the label: (B, C_t) log-probabilities to (B, C_t) losses."""
