"""A loss of the score itself: macro-F1 of a batch, made differentiable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from multitask.losses.base import LossSettings
from multitask.losses.training_labels import FloatArray, TrainingLabels

if TYPE_CHECKING:
    from multitask.losses.task_losses import TaskLoss


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
        from multitask.losses.task_losses import SoftMacroF1

        return SoftMacroF1()

    def implied_log_prior(self, counts: FloatArray) -> FloatArray:
        """(C_t,) the same for every class, since every class has the same say; its minimum is no posterior."""
        return super().implied_log_prior(0 * counts)
