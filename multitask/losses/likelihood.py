"""Losses of the label's probability p: cross entropy, and losses that weight easy and hard images differently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from multitask.losses.base import LossSettings
from multitask.losses.class_weights import ClassWeightSettings, EffectiveNumber
from multitask.losses.classwise import Deferred, PlainSettings, Smoothing
from multitask.losses.training_labels import FloatArray, TrainingLabels
from multitask.settings import Float, NonNegativeFloat

if TYPE_CHECKING:
    from torch import Tensor

    from multitask.losses.task_losses import TaskLoss


class CrossEntropySettings(PlainSettings):
    """Cross entropy: l_c = -log p_c, with p_c the probability of class c.

    >>> import torch
    >>> CrossEntropySettings().per_class(torch.tensor([[0.8, 0.2]]).log())
    tensor([[0.2231, 1.6094]])
    """

    name: Literal["cross_entropy"] = "cross_entropy"

    def per_class(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) log-probabilities to (B, C_t) losses."""
        return -log_probs


def focal(log_probs: Tensor, gamma: float) -> Tensor:
    """-(1 - p) ** gamma log p, elementwise, with p the exponentials of ``log_probs``, of any shape.

    >>> import torch
    >>> focal(torch.tensor([0.8, 0.2]).log(), gamma=2.0)
    tensor([0.0089, 1.0300])
    """
    # Clamped: for gamma below 1 the slope of (1 - p)**gamma is infinite at p = 1.
    return -log_probs * miss(log_probs).clamp(min=1e-8) ** gamma


def miss(log_probs: Tensor) -> Tensor:
    """1 - p, elementwise, with p the exponentials of ``log_probs``, of any shape; exact where p is nearly 1.

    >>> import torch
    >>> miss(torch.tensor([0.8, 0.2]).log())
    tensor([0.2000, 0.8000])
    """
    return -log_probs.expm1()


class FocalSettings(PlainSettings):
    """Focal loss: Lin et al. 2017, equation 4, https://arxiv.org/abs/1708.02002.

    l_c = -(1 - p_c) ** ``gamma`` log p_c, with p_c the probability of class c. The larger ``gamma``, the less an image
    counts that is classified well already; ``gamma`` 0 is cross entropy. The paper's alpha is what class weights are
    here.

    >>> import torch
    >>> FocalSettings(gamma=2.0).per_class(torch.tensor([[0.8, 0.2]]).log())
    tensor([[0.0089, 1.0300]])
    """

    name: Literal["focal"] = "focal"
    gamma: NonNegativeFloat = 2.0

    def per_class(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) log-probabilities to (B, C_t) losses."""
        return focal(log_probs, self.gamma)


class ClassBalancedFocalSettings(LossSettings):
    """Focal loss weighted by the effective number of images: Cui et al. 2019, https://arxiv.org/abs/1901.05555.

    l_c = -w_c (1 - p_c) ** ``gamma`` log p_c, with p_c the probability of class c, w_c proportional to
    (1 - ``beta``) / (1 - ``beta`` ** n_c) and n_c the number of training images of class c. The probabilities are a
    softmax over all classes. The same as ``focal`` with the class weights ``effective_number``; other class weights
    have no place here.

    >>> import torch
    >>> settings = ClassBalancedFocalSettings(gamma=2.0, beta=0.9)
    >>> settings.per_class(torch.tensor([[0.8, 0.2]]).log())
    tensor([[0.0089, 1.0300]])
    >>> settings.weighting().beta
    0.9
    """

    name: Literal["class_balanced_focal"] = "class_balanced_focal"
    gamma: NonNegativeFloat = 2.0
    beta: Annotated[Float, Field(ge=0, lt=1)] = 0.999
    deferred: Deferred = 0.0
    """The share of the epochs before which every class counts the same; 0: class weights count from the start."""
    smoothing: Smoothing = 0.0
    """The share of a target that is spread evenly over all classes."""

    def weighting(self) -> ClassWeightSettings:
        """Those of the effective number, with ``beta``."""
        return EffectiveNumber(beta=self.beta)

    def build(self, data: TrainingLabels) -> TaskLoss:
        """A ``ClasswiseLoss``: the weighted mean over the images."""
        from multitask.losses.task_losses import ClasswiseLoss

        return ClasswiseLoss(self.per_class, self.weights(data.counts), self.deferred, self.smoothing)

    def per_class(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) log-probabilities to (B, C_t) losses, before the weights."""
        return focal(log_probs, self.gamma)

    def _target_counts(self, counts: FloatArray) -> FloatArray:
        smoothed: FloatArray = (1 - self.smoothing) * counts + self.smoothing * counts.mean()
        return smoothed


class Poly1Settings(PlainSettings):
    """Poly-1 cross entropy: Leng et al. 2022, https://arxiv.org/abs/2204.12511.

    l_c = -log p_c + ``epsilon`` (1 - p_c), with p_c the probability of class c. ``epsilon`` 0 is cross entropy; below
    -1 the loss would not always fall as p_c rises.

    >>> import torch
    >>> Poly1Settings(epsilon=1.0).per_class(torch.tensor([[0.8, 0.2]]).log())
    tensor([[0.4231, 2.4094]])
    """

    name: Literal["poly1"] = "poly1"
    epsilon: Annotated[Float, Field(ge=-1)] = 1.0

    def per_class(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) log-probabilities to (B, C_t) losses."""
        return -log_probs + self.epsilon * miss(log_probs)
