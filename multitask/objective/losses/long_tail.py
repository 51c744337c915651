"""Losses that make room for rare classes: by their frequency, or by a margin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from multitask.objective.losses.classwise import ClasswiseSettings
from multitask.objective.losses.likelihood import miss
from multitask.objective.training_labels import FloatArray, TrainingLabels, log_frequencies
from multitask.settings import NonNegativeFloat, PositiveFloat


class LogitAdjustment(nn.Module):
    """Cross entropy of answers that were shifted.

    Args:
        shift: (C_t,) added to the log-probabilities before they are normalised anew.
    """

    shift: Tensor

    def __init__(self, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) to (B, C_t)."""
        return -(log_probs + self.shift).log_softmax(dim=1)


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
        return LogitAdjustment(torch.tensor(self.tau * log_frequencies(data.counts), dtype=torch.float32))

    def implied_log_prior(self, counts: FloatArray) -> FloatArray:
        """(C_t,): what cross entropy's would be, less the tau times log frequency that the loss adds by itself."""
        left = super().implied_log_prior(counts) - self.tau * log_frequencies(counts)
        return np.asarray(left - np.logaddexp.reduce(left))


class Margins(nn.Module):
    """Cross entropy of answers whose label was made less probable first.

    Args:
        margins: (C_t,) taken off the label's log-probability before it is normalised anew.
    """

    margins: Tensor

    def __init__(self, margins: Tensor) -> None:
        super().__init__()
        self.register_buffer("margins", margins, persistent=False)

    def forward(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) to (B, C_t)."""
        lowered = log_probs - self.margins
        # All but the label have 1 - p. Clamped: the slope of log(1 - p) is infinite at p = 1.
        others = miss(log_probs.clamp(max=-1e-12)).log()
        return torch.logaddexp(others, lowered) - lowered


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
        return Margins(torch.tensor(self.scale * self.margins(data.counts), dtype=torch.float32))

    def margins(self, counts: FloatArray) -> FloatArray:
        """(C_t,) in units of ``scale``."""
        fewest = counts[counts > 0].min(initial=np.inf)
        return self.max_margin * (fewest / np.maximum(counts, fewest)) ** 0.25 if np.isfinite(fewest) else 0 * counts
