"""Losses of the label's probability: cross entropy, and what weighs easy and hard pictures otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from multitask.losses.base import LossSettings
from multitask.losses.class_weights import ClassWeightSettings, EffectiveNumber
from multitask.losses.classwise import Deferred, PlainSettings, Smoothing
from multitask.losses.training_labels import FloatArray, TrainingLabels
from multitask.settings.schema import Float, NonNegativeFloat

if TYPE_CHECKING:
    from torch import Tensor

    from multitask.losses.task_losses import TaskLoss


class CrossEntropySettings(PlainSettings):
    """-log p."""

    name: Literal["cross_entropy"] = "cross_entropy"

    def per_class(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) to (B, C_t)."""
        return -log_probs


def focal(log_probs: Tensor, gamma: float) -> Tensor:
    """-(1 - p)**gamma log p, elementwise."""
    # Clamped: for gamma below 1 the slope of (1 - p)**gamma is infinite at p = 1.
    return -log_probs * miss(log_probs).clamp(min=1e-8) ** gamma


def miss(log_probs: Tensor) -> Tensor:
    """1 - p, elementwise; exact where p is nearly 1."""
    return -log_probs.expm1()


class FocalSettings(PlainSettings):
    """-(1 - p)**gamma log p: Lin et al. 2017, equation 5, https://arxiv.org/abs/1708.02002; gamma 0: cross entropy."""

    name: Literal["focal"] = "focal"
    gamma: NonNegativeFloat = 2.0

    def per_class(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) to (B, C_t)."""
        return focal(log_probs, self.gamma)


class ClassBalancedFocalSettings(LossSettings):
    """Focal loss weighted by the effective number of each class's pictures.

    Cui et al. 2019, https://arxiv.org/abs/1901.05555, over the probabilities of all classes at once. It is
    ``focal`` with the class weights ``effective_number``, whose other class weights it has no place for.
    """

    name: Literal["class_balanced_focal"] = "class_balanced_focal"
    gamma: NonNegativeFloat = 2.0
    beta: Annotated[Float, Field(ge=0, lt=1)] = 0.999
    deferred: Deferred = 0.0
    """The share of the epochs before which every class counts the same; 0: class weights count from the start."""
    smoothing: Smoothing = 0.0
    """The share of a target that is spread evenly over all classes."""

    def weighting(self) -> ClassWeightSettings:
        """The effective number's."""
        return EffectiveNumber(beta=self.beta)

    def build(self, data: TrainingLabels) -> TaskLoss:
        """The weighted mean over the pictures."""
        from multitask.losses.task_losses import ClasswiseLoss

        return ClasswiseLoss(self.per_class, self.weights(data.counts), self.deferred, self.smoothing)

    def per_class(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) to (B, C_t)."""
        return focal(log_probs, self.gamma)

    def _target_counts(self, counts: FloatArray) -> FloatArray:
        return (1 - self.smoothing) * counts + self.smoothing * counts.mean()


class Poly1Settings(PlainSettings):
    """-log p + epsilon (1 - p): Leng et al. 2022, https://arxiv.org/abs/2204.12511.

    Epsilon 0 is cross entropy; below -1 the loss would not always fall as p rises.
    """

    name: Literal["poly1"] = "poly1"
    epsilon: Annotated[Float, Field(ge=-1)] = 1.0

    def per_class(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) to (B, C_t)."""
        return -log_probs + self.epsilon * miss(log_probs)
