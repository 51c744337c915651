"""A loss of the score itself: macro-F1 of a batch, made differentiable."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from multitask.labels import MISSING
from multitask.objective.losses.base import LossSettings, TaskLoss
from multitask.objective.training_labels import FloatArray, TrainingLabels


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


class SoftMacroF1Settings(LossSettings):
    """1 - macro-F1 of the batch with probabilities in the place of decisions, over the classes that the batch holds.

    F1 from sums of probabilities, as in Benedict et al. 2021, https://arxiv.org/abs/2108.10566. In the ``joint``
    section and in a flat head the classes are those of the product. Every class has the same say already, so there are
    no class weights; a batch with few pictures a class gives a noisy and biased score, so it is best in large batches
    and beside cross entropy, in a ``sum``. A mixed batch is scored once for each of its two sides.
    """

    name: Literal["soft_macro_f1"] = "soft_macro_f1"

    def build(self, data: TrainingLabels) -> TaskLoss:
        """It needs to know nothing of the training labels."""
        return SoftMacroF1()

    def implied_log_prior(self, counts: FloatArray) -> FloatArray:
        """(C_t,) the same for every class, since every class has the same say; its minimum is no posterior."""
        return super().implied_log_prior(0 * counts)
