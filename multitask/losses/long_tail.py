"""Losses that make room for rare classes: by their frequency, or by a margin."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from multitask.losses.classwise import ClasswiseSettings
from multitask.losses.training_labels import FloatArray, TrainingLabels, log_frequencies
from multitask.settings.schema import NonNegativeFloat, PositiveFloat

if TYPE_CHECKING:
    from torch import Tensor


class LogitAdjustedSettings(ClasswiseSettings):
    """Cross entropy of the answer times frequency**tau: Menon et al. 2021, equation 10, https://arxiv.org/abs/2007.07314.

    The frequency is that of the classes among the training pictures, so that the network learns what is left: with tau
    1, what a picture says if all classes were equally frequent. A class that no picture has is taken to be half a
    picture's.
    """

    name: Literal["logit_adjusted"] = "logit_adjusted"
    tau: NonNegativeFloat = 1.0

    def with_data(self, data: TrainingLabels) -> Callable[[Tensor], Tensor]:
        """With the training pictures' frequencies."""
        import torch

        from multitask.losses.per_class import LogitAdjustment

        return LogitAdjustment(torch.tensor(self.tau * log_frequencies(data.counts), dtype=torch.float32))

    def implied_log_prior(self, counts: FloatArray) -> FloatArray:
        """(C_t,): what cross entropy's would be, less the tau times log frequency that the loss adds by itself."""
        left = super().implied_log_prior(counts) - self.tau * log_frequencies(counts)
        return np.asarray(left - np.logaddexp.reduce(left))


class LDAMSettings(ClasswiseSettings):
    """A margin for each class, of its number of training pictures to the power of -1/4.

    Label-distribution-aware margins: Cao et al. 2019, section 3.2, https://arxiv.org/abs/1906.07413. The rarest
    class that was seen, and any that was not, has ``max_margin``. The paper's recipe has class weights beside it that
    come late: ``class_weights: {name: effective_number, beta: 0.9999}, deferred: 0.8``.

    The paper's logits are cosines times ``scale``, so its margins are ``scale`` times as much in the logarithm of a
    probability, and so they are here, for any head: the answers themselves, which carry the head's scale already, are
    not multiplied. With a cosine head of scale s, ``scale`` s is the paper's loss. The default suits a linear head,
    whose logits can take any value; the paper has 30.

    Margins move the boundaries, but amount to no prior that is known: the implied one is that of the class weights.
    """

    name: Literal["ldam"] = "ldam"
    max_margin: NonNegativeFloat = 0.5
    scale: PositiveFloat = 4.0

    def with_data(self, data: TrainingLabels) -> Callable[[Tensor], Tensor]:
        """With margins of the training pictures' counts."""
        import torch

        from multitask.losses.per_class import Margins

        return Margins(torch.tensor(self.scale * self.margins(data.counts), dtype=torch.float32))

    def margins(self, counts: FloatArray) -> FloatArray:
        """(C_t,) in units of ``scale``."""
        fewest = counts[counts > 0].min(initial=np.inf)
        return self.max_margin * (fewest / np.maximum(counts, fewest)) ** 0.25 if np.isfinite(fewest) else 0 * counts
