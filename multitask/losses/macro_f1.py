"""The macro-F1 of a batch, made differentiable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from multitask.losses.base import LossSettings
from multitask.losses.training_labels import FloatArray, TrainingLabels

if TYPE_CHECKING:
    from multitask.losses.task_losses import TaskLoss


class SoftMacroF1Settings(LossSettings):
    """1 - the macro-F1 of a batch, of sums of probabilities, as in Benedict et al. 2021,
    https://arxiv.org/abs/2108.10566.

    1 - mean over c of F_c with F_c = 2 sum_i y_ic p_ic / (sum_i y_ic + sum_i p_ic): p_ic is the probability that image
    i of the batch has class c, y_ic is 1 where c is its label and else 0, and each image counts by its weight in all
    three sums. The mean is over the classes c that are a label in the batch. In the ``joint``
    section and in a flat head the classes are those of the product. Every class has the same say already, so there are
    no class weights; a batch with few images a class gives a noisy and biased score, so it is best in large batches
    and beside cross entropy, in a ``sum``. A mixed batch is scored once for each of its two sides.

    >>> import numpy as np
    >>> import torch
    >>> from multitask.labels import Task
    >>> data = TrainingLabels(Task("gender", ("male", "female")), np.array([30.0, 10.0]), np.full(2, np.nan))
    >>> loss = SoftMacroF1Settings().build(data)
    >>> probs, labels = torch.tensor([[0.8, 0.2], [0.4, 0.6]]), torch.tensor([0, 1])
    >>> loss(probs.log(), labels, sample_weights=torch.ones(2), numbers=torch.full((2,), torch.nan))
    tensor(0.3030)
    """

    name: Literal["soft_macro_f1"] = "soft_macro_f1"

    def build(self, data: TrainingLabels) -> TaskLoss:
        """A ``SoftMacroF1``, the same for any labels."""
        from multitask.losses.task_losses import SoftMacroF1

        return SoftMacroF1()

    def implied_log_prior(self, counts: FloatArray, drawn: FloatArray | None = None) -> FloatArray:
        """(C_t,) uniform, since every class has the same say; an approximation, since the minimum is no posterior."""
        return super().implied_log_prior(0 * counts)
