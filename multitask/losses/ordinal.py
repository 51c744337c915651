"""Losses of ordered classes, by which a neighbour of the label costs less than a class far off."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from multitask.losses.classwise import PlainSettings, WeightedSettings
from multitask.losses.training_labels import TrainingLabels
from multitask.settings import Float, NonNegativeFloat, PositiveFloat

if TYPE_CHECKING:
    from torch import Tensor

    from multitask.losses.task_losses import TaskLoss


class CumulativeSettings(PlainSettings):
    """Cumulative cross entropy: the sum, over the thresholds between neighbours, of that of lying above the threshold.

    l_c = -sum over k < c of log P(y > k) - sum over k >= c of log P(y <= k), with k from 0 to C_t - 2, P(y <= k) the
    sum of the probabilities of classes 0 to k, and P(y > k) the rest. The all-threshold loss (Rennie and Srebro 2005),
    and that of CORAL (Cao, Mirjalili and Raschka 2020, https://arxiv.org/abs/1901.07884), of the
    thresholds' probabilities that follow from the classes'. With two classes it is cross entropy.

    >>> import torch
    >>> CumulativeSettings().per_class(torch.tensor([[0.5, 0.3, 0.2]]).log())
    tensor([[0.9163, 0.9163, 2.3026]])
    """

    name: Literal["cumulative"] = "cumulative"
    needs_order: ClassVar[bool] = True

    def per_class(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) log-probabilities to (B, C_t) losses."""
        import torch

        below = log_probs[:, :-1].logcumsumexp(dim=1)  # log P(y <= k)
        above = log_probs[:, 1:].flip(1).logcumsumexp(dim=1).flip(1)  # log P(y > k)
        at_most = below.flip(1).cumsum(dim=1).flip(1)  # of label j: the thresholds from j on
        beyond = above.cumsum(dim=1)  # of label j: the thresholds before j
        none = torch.zeros_like(log_probs[:, :1])
        return -torch.cat([none, beyond], dim=1) - torch.cat([at_most, none], dim=1)


class MeanVarianceSettings(WeightedSettings):
    """Mean-variance loss: Pan et al., CVPR 2018.

    l_c = -log p_c + lambda_1 (m - v_c) ** 2 / 2 + lambda_2 sum_k p_k (v_k - m) ** 2, with p_c the probability of class
    c, v_c the number that stands for it, m = sum_k p_k v_k the predicted mean, lambda_1 ``mean_weight`` and lambda_2
    ``variance_weight``. In the paper a class is an age; here v_c is the mean number of the training images of class c,
    standardised over the training images (each at its class's), so that the weights mean the same for ages in years and
    for prices in pence.

    >>> import torch
    >>> from multitask.labels import Task
    >>> data = TrainingLabels(Task("age", ("<30", ">=30"), "binned", (30.0,)), np.ones(2), np.array([20.0, 40.0]))
    >>> loss = MeanVarianceSettings(mean_weight=0.2, variance_weight=0.05).build(data)
    >>> log_probs, labels, numbers = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([0]), torch.tensor([20.0])
    >>> loss(log_probs, labels, torch.ones(1), numbers)  # v = (-1, 1), so m = 0: log 2 + 0.2 / 2 + 0.05
    tensor(0.8431)
    """

    name: Literal["mean_variance"] = "mean_variance"
    mean_weight: NonNegativeFloat = 0.2
    variance_weight: NonNegativeFloat = 0.05
    needs_order: ClassVar[bool] = True
    needs_numbers: ClassVar[bool] = True

    def build(self, data: TrainingLabels) -> TaskLoss:
        """A ``ClasswiseLoss`` of ``MeanVariance``, with v from the training images."""
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
    """Cross entropy to soft labels, by which a number near an edge belongs to both classes: an age of 58 is nearly 60.

    l = -sum_c t_c log p_c, with p_c the probability of class c and the target
    t_c = F((b_c - a) / w) - F((b_(c-1) - a) / w): the share, between the edges b_(c-1) and b_c of the class, of a
    distribution around the raw number a (with ``offset`` added), F its cumulative distribution and w ``width``.
    ``gaussian``: F of the standard normal, label distribution learning (Gao et al. 2017,
    https://arxiv.org/abs/1611.01731); ``sord``: of the Laplace distribution, soft ordinal labels (Diaz and Marathe,
    CVPR 2019, with the distance |a - b|). Where the number is unknown and the label is known, the target is the label.

    >>> import torch
    >>> SoftLabelsSettings(kind="sord").cumulative(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0.1839, 0.5000, 0.8161])
    """

    name: Literal["soft_labels"] = "soft_labels"
    kind: Literal["gaussian", "sord"] = "gaussian"
    width: PositiveFloat = 3.0
    """w, in the number's unit: the Gaussian's standard deviation, or the distance at which the exponential is 1/e."""
    offset: Float = 0.0
    """Added to the number: 0.5 where numbers are rounded down, as ages are. A number on an edge itself would else be
    half of either class."""
    needs_order: ClassVar[bool] = True
    needs_numbers: ClassVar[bool] = True

    def build(self, data: TrainingLabels) -> TaskLoss:
        """A ``SoftLabelLoss`` with the task's edges."""
        from multitask.losses.task_losses import SoftLabelLoss

        return SoftLabelLoss(self, data)

    def cumulative(self, at: Tensor) -> Tensor:
        """F, elementwise: the share of the distribution below each point, in widths from its middle."""
        import torch

        if self.kind == "gaussian":
            normal: Tensor = torch.special.ndtr(at)
            return normal
        tail = torch.exp(-at.abs()) / 2
        return torch.where(at < 0, tail, 1 - tail)
