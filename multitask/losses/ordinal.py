"""Losses of classes in order, that take a near miss for less of a mistake."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from multitask.losses.classwise import PlainSettings, WeightedSettings
from multitask.losses.training_labels import TrainingLabels
from multitask.settings.schema import Float, NonNegativeFloat, PositiveFloat

if TYPE_CHECKING:
    from torch import Tensor

    from multitask.losses.task_losses import TaskLoss


class CumulativeSettings(PlainSettings):
    """The sum, over the places where one class ends and the next begins, of the cross entropy of being above it.

    All-threshold loss (Rennie and Srebro 2005), the one of CORAL (Cao, Mirjalili and Raschka 2020,
    https://arxiv.org/abs/1901.07884), of the probabilities that the classes' add up to. With two classes it is cross
    entropy.
    """

    name: Literal["cumulative"] = "cumulative"
    needs_order: ClassVar[bool] = True

    def per_class(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) to (B, C_t)."""
        import torch

        below = log_probs[:, :-1].logcumsumexp(dim=1)  # log P(y <= k)
        above = log_probs[:, 1:].flip(1).logcumsumexp(dim=1).flip(1)  # log P(y > k)
        at_most = below.flip(1).cumsum(dim=1).flip(1)  # of label j: the thresholds from j on
        beyond = above.cumsum(dim=1)  # of label j: the thresholds before j
        none = torch.zeros_like(log_probs[:, :1])
        return -torch.cat([none, beyond], dim=1) - torch.cat([at_most, none], dim=1)


class MeanVarianceSettings(WeightedSettings):
    """Cross entropy, and terms for the mean and the variance of the number that the answer amounts to.

    Mean-variance loss: Pan et al., CVPR 2018, whose lambda1 is ``mean_weight`` and lambda2 ``variance_weight``. There a
    class is an age; here the mean number of its training pictures stands for it, and the mean's target is that of the
    label. Numbers are counted in standard deviations of the training pictures' (each at its class's), so that the
    weights mean the same for ages in years and for prices in pence.
    """

    name: Literal["mean_variance"] = "mean_variance"
    mean_weight: NonNegativeFloat = 0.2
    variance_weight: NonNegativeFloat = 0.05
    needs_order: ClassVar[bool] = True
    needs_numbers: ClassVar[bool] = True

    def build(self, data: TrainingLabels) -> TaskLoss:
        """With the classes' numbers of the training pictures."""
        import torch

        from multitask.losses.per_class import MeanVariance
        from multitask.losses.task_losses import ClasswiseLoss

        values = data.class_values()
        shares = data.counts / data.counts.sum() if data.counts.any() else np.full_like(values, 1 / len(values))
        centred = values - (shares * values).sum()
        deviation = math.sqrt((shares * centred**2).sum())
        scaled = centred / deviation if deviation > 0 else np.zeros_like(centred)
        terms = MeanVariance(torch.tensor(scaled, dtype=torch.float32), self.mean_weight, self.variance_weight)
        return ClasswiseLoss(terms, self.weights(data.counts), self.deferred)


class SoftLabelsSettings(WeightedSettings):
    """Cross entropy to soft labels: somebody of 58 is nearly 60.

    The target of a class is the share, within its range, of a distribution around the raw number. ``gaussian``: label
    distribution learning (Gao et al. 2017, https://arxiv.org/abs/1611.01731); ``sord``: soft ordinal labels (Diaz and
    Marathe, CVPR 2019, with the distance |a - b|), which are exponential to both sides. Where the number is
    unknown and the label is known, the target is the label.
    """

    name: Literal["soft_labels"] = "soft_labels"
    kind: Literal["gaussian", "sord"] = "gaussian"
    width: PositiveFloat = 3.0
    """In the number's unit: the Gaussian's standard deviation, or the way in which the exponential falls to 1/e."""
    offset: Float = 0.0
    """Added to the number: 0.5 where numbers are rounded down, as ages are. A number on an edge itself would else be
    half of either class."""
    needs_order: ClassVar[bool] = True
    needs_numbers: ClassVar[bool] = True

    def build(self, data: TrainingLabels) -> TaskLoss:
        """With the task's edges."""
        from multitask.losses.task_losses import SoftLabelLoss

        return SoftLabelLoss(self, data)

    def cumulative(self, at: Tensor) -> Tensor:
        """The share of the distribution below each point, elementwise; points are in widths from its middle."""
        import torch

        if self.kind == "gaussian":
            return torch.special.ndtr(at)
        tail = torch.exp(-at.abs()) / 2
        return torch.where(at < 0, tail, 1 - tail)
