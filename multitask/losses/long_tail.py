"""Losses for long-tailed classes: logit adjustment by frequency, and label-distribution-aware margins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from multitask.losses.classwise import ClasswiseSettings
from multitask.losses.training_labels import FloatArray, TrainingLabels, log_frequencies
from multitask.settings import NonNegativeFloat, PositiveFloat

if TYPE_CHECKING:
    from torch import Tensor


class LogitAdjustedSettings(ClasswiseSettings):
    """Logit-adjusted cross entropy: Menon et al. 2021, equation 10, https://arxiv.org/abs/2007.07314.

    l_c = -log(p_c f_c ** tau / sum_k p_k f_k ** tau), with p_c the probability of class c and f_c its share of the
    training images. So the network learns what the frequencies leave: with ``tau`` 1, its probabilities are those of
    classes that are equally frequent. A class without training images is taken to have half an image.

    >>> import torch
    >>> from multitask.labels import Task
    >>> data = TrainingLabels(Task("gender", ("male", "female")), np.array([30.0, 10.0]), np.full(2, np.nan))
    >>> LogitAdjustedSettings(tau=1.0).with_data(data)(torch.tensor([[0.5, 0.5]]).log()).exp().reciprocal()
    tensor([[0.7500, 0.2500]])
    """

    name: Literal["logit_adjusted"] = "logit_adjusted"
    tau: NonNegativeFloat = 1.0

    def with_data(self, data: TrainingLabels) -> Callable[[Tensor], Tensor]:
        """A ``LogitAdjustment`` by tau log f."""
        import torch

        from multitask.losses.per_class import LogitAdjustment

        return LogitAdjustment(torch.tensor(self.tau * log_frequencies(data.counts), dtype=torch.float32))

    def implied_log_prior(self, counts: FloatArray, drawn: FloatArray | None = None) -> FloatArray:
        """(C_t,) the log-prior of cross entropy less tau log f, which the loss adds by itself; normalised."""
        left = super().implied_log_prior(counts, drawn) - self.tau * log_frequencies(counts)
        return np.asarray(left - np.logaddexp.reduce(left))


class LDAMSettings(ClasswiseSettings):
    """Label-distribution-aware margins: Cao et al. 2019, section 3.2, https://arxiv.org/abs/1906.07413.

    l_c = -log(e ** (z_c - s m_c) / (e ** (z_c - s m_c) + sum over k != c of e ** z_k)), with z (C_t,) the logits, s
    ``scale`` and m_c = ``max_margin`` (n_min / n_c) ** (1/4) the margin of class c, n_c its number of training images
    and n_min that of the rarest class that has any. A class without images has ``max_margin`` too. The paper's recipe
    has deferred class weights beside it: ``class_weights: {name: effective_number, beta: 0.9999}, deferred: 0.8``.

    The paper's logits are cosines times s, so that its margins too are s times as much in units of a logit, and so they
    are here, for any head: the logits, which carry the head's scale already, are not multiplied. With a cosine head of
    scale s, ``scale`` s is the paper's loss. The default suits a linear head, whose logits can take any value; the
    paper has 30.

    Margins move the boundaries, but amount to no prior that is known: the implied one is that of the class weights.

    >>> import torch
    >>> from multitask.labels import Task
    >>> settings = LDAMSettings(max_margin=0.5, scale=4.0)
    >>> settings.margins(np.array([160.0, 10.0]))
    array([0.25, 0.5 ])
    >>> data = TrainingLabels(Task("gender", ("male", "female")), np.array([160.0, 10.0]), np.full(2, np.nan))
    >>> settings.with_data(data)(torch.tensor([[0.5, 0.5]]).log())  # log(1 + e) and log(1 + e ** 2)
    tensor([[1.3133, 2.1269]])
    """

    name: Literal["ldam"] = "ldam"
    max_margin: NonNegativeFloat = 0.5
    scale: PositiveFloat = 4.0

    def with_data(self, data: TrainingLabels) -> Callable[[Tensor], Tensor]:
        """``Margins`` of s m."""
        import torch

        from multitask.losses.per_class import Margins

        return Margins(torch.tensor(self.scale * self.margins(data.counts), dtype=torch.float32))

    def margins(self, counts: FloatArray) -> FloatArray:
        """(C_t,) m, from (C_t,) the number of training images of each class; 0 where there is no image at all."""
        fewest = counts[counts > 0].min(initial=np.inf)
        return self.max_margin * (fewest / np.maximum(counts, fewest)) ** 0.25 if np.isfinite(fewest) else 0 * counts
