"""Losses with a value for every class of an image, of which the label's counts: class weights, label smoothing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from multitask.losses.base import LossSettings
from multitask.losses.class_weights import AnyClassWeights, ClassWeightSettings, NoWeights
from multitask.losses.training_labels import FloatArray, TrainingLabels
from multitask.settings import Float

if TYPE_CHECKING:
    from torch import Tensor

    from multitask.losses.task_losses import TaskLoss

Deferred = Annotated[Float, Field(ge=0, lt=1)]
Smoothing = Annotated[Float, Field(ge=0, lt=1)]


class WeightedSettings(LossSettings):
    """The settings of a loss with class weights.

    >>> from multitask.losses import CrossEntropySettings
    >>> CrossEntropySettings(class_weights={"name": "explicit", "values": (1.0, 2.0)}, deferred=0.8).weighting().values
    (1.0, 2.0)
    """

    class_weights: AnyClassWeights = NoWeights()
    deferred: Deferred = 0.0
    """The share of the epochs before which every class counts the same; 0: class weights count from the start."""

    @model_validator(mode="after")
    def _check_deferred(self) -> WeightedSettings:
        if self.deferred and isinstance(self.class_weights, NoWeights):
            raise ValueError(f"deferred: {self.deferred:g} would be ignored, since class_weights is none")
        return self

    def weighting(self) -> ClassWeightSettings:
        """``class_weights``."""
        return self.class_weights


class ClasswiseSettings(WeightedSettings):
    """The settings of a loss that has a value for every class: class weights and label smoothing.

    >>> import numpy as np
    >>> import torch
    >>> from multitask.labels import Task
    >>> from multitask.losses import CrossEntropySettings
    >>> data = TrainingLabels(Task("gender", ("male", "female")), np.array([30.0, 10.0]), np.full(2, np.nan))
    >>> per_class = CrossEntropySettings().with_data(data)
    >>> per_class(torch.tensor([[0.8, 0.2]]).log())
    tensor([[0.2231, 1.6094]])
    """

    smoothing: Smoothing = 0.0
    """The share of a target that is spread evenly over all classes."""

    def build(self, data: TrainingLabels) -> TaskLoss:
        """A ``ClasswiseLoss``: the weighted mean over the images."""
        from multitask.losses.task_losses import ClasswiseLoss

        return ClasswiseLoss(self.with_data(data), self.weights(data.counts), self.deferred, self.smoothing)

    @abstractmethod
    def with_data(self, data: TrainingLabels) -> Callable[[Tensor], Tensor]:
        """The function from (B, C_t) log-probabilities to (B, C_t) losses, had each class been the label.

        A module where it holds tensors made of the training labels, so that these move to the device.
        """

    def _target_counts(self, counts: FloatArray) -> FloatArray:
        smoothed: FloatArray = (1 - self.smoothing) * counts + self.smoothing * counts.mean()
        return smoothed


class PlainSettings(ClasswiseSettings):
    """The settings of a classwise loss that is a function of the log-probabilities alone.

    >>> class BrierSettings(PlainSettings):
    ...     name: str = "brier"
    ...
    ...     def per_class(self, log_probs):
    ...         probs = log_probs.exp()
    ...         return (probs**2).sum(dim=1, keepdim=True) - 2 * probs + 1
    >>> import torch
    >>> BrierSettings(smoothing=0.1).per_class(torch.tensor([[0.8, 0.2]]).log())
    tensor([[0.0800, 1.2800]])
    """

    def with_data(self, data: TrainingLabels) -> Callable[[Tensor], Tensor]:
        """``per_class``, for any labels."""
        return self.per_class

    @abstractmethod
    def per_class(self, log_probs: Tensor) -> Tensor:
        """The loss, had each class been the label: (B, C_t) log-probabilities to (B, C_t) losses."""
