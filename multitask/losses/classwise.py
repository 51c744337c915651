"""Losses that are the mean, over the pictures, of what each would lose if a class were its label."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from multitask.losses.base import LossSettings
from multitask.losses.class_weights import AnyClassWeights, ClassWeightSettings, NoWeights
from multitask.losses.training_labels import FloatArray, TrainingLabels
from multitask.settings.schema import Float

if TYPE_CHECKING:
    from torch import Tensor

    from multitask.losses.task_losses import TaskLoss

Deferred = Annotated[Float, Field(ge=0, lt=1)]
Smoothing = Annotated[Float, Field(ge=0, lt=1)]


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
        from multitask.losses.task_losses import ClasswiseLoss

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
