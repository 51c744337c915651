"""Losses of one head, and the weights of its classes."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from multitask.labels import MISSING
from multitask.settings import Float, NonNegativeFloat, Settings, variants

# --- class weights ----------------------------------------------------------------------------------------------


class NoWeights(Settings):
    """Every class counts the same."""

    name: Literal["none"] = "none"

    def raw(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """(C_t,) ones."""
        return np.ones_like(counts)


class ExplicitWeights(Settings):
    """Weights as given, in class order."""

    name: Literal["explicit"] = "explicit"
    values: Annotated[tuple[NonNegativeFloat, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _check(self) -> ExplicitWeights:
        if not any(self.values):
            raise ValueError("values must not all be 0")
        return self

    def raw(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """(C_t,) the values."""
        return np.array(self.values)


class InverseFrequency(Settings):
    """1 / n**power; power 1 gives every class the same say, 0.5 goes half the way."""

    name: Literal["inverse_frequency"] = "inverse_frequency"
    power: Annotated[Float, Field(ge=0, le=1)] = 1.0

    def raw(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """(C_t,) from the number of training pictures of each class."""
        return np.maximum(counts, 1.0) ** -self.power


class EffectiveNumber(Settings):
    """(1 - beta) / (1 - beta**n): Cui et al. 2019, equation 2, https://arxiv.org/abs/1901.05555."""

    name: Literal["effective_number"] = "effective_number"
    beta: Annotated[Float, Field(ge=0, lt=1)] = 0.999

    def raw(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """(C_t,) from the number of training pictures of each class."""
        return (1 - self.beta) / (1 - self.beta ** np.maximum(counts, 1.0))


AnyClassWeights = Annotated[NoWeights | ExplicitWeights | InverseFrequency | EffectiveNumber, *variants("none")]
"""The table of class weights."""

# --- losses -----------------------------------------------------------------------------------------------------


class LossSettings(Settings):
    """What every loss has: class weights and label smoothing."""

    name: str
    class_weights: AnyClassWeights = NoWeights()
    smoothing: Annotated[Float, Field(ge=0, lt=1)] = 0.0
    """The share of a target that is spread evenly over all classes."""

    def weights(self, counts: NDArray[np.float64]) -> Tensor:
        """Class weights, scaled so that the mean over the training pictures is 1 and the step keeps its length.

        Args:
            counts: (C_t,) training pictures of each class.

        Returns:
            (C_t,) float32.
        """
        raw = self.class_weights.raw(counts)
        seen = counts.sum()
        mean = float((raw * counts).sum() / seen) if seen > 0 else float(raw.mean())
        return torch.tensor(raw / mean if mean > 0 else raw, dtype=torch.float32)

    @abstractmethod
    def per_class(self, log_probs: Tensor) -> Tensor:
        """The loss, had each class been the label: (B, C_t) log-probabilities to (B, C_t) losses."""


class CrossEntropySettings(LossSettings):
    """-log p."""

    name: Literal["cross_entropy"] = "cross_entropy"

    def per_class(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) to (B, C_t)."""
        return -log_probs


class FocalSettings(LossSettings):
    """-(1 - p)**gamma log p: Lin et al. 2017, equation 5, https://arxiv.org/abs/1708.02002; gamma 0: cross entropy."""

    name: Literal["focal"] = "focal"
    gamma: NonNegativeFloat = 2.0

    def per_class(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) to (B, C_t)."""
        # Clamped: for gamma below 1 the slope of (1 - p)**gamma is infinite at p = 1.
        return -log_probs * (-torch.expm1(log_probs)).clamp(min=1e-8) ** self.gamma


AnyLoss = Annotated[CrossEntropySettings | FocalSettings, *variants("cross_entropy")]
"""The table of losses: a new one is a class above, and a name here."""


class TaskLoss(nn.Module):
    """The loss of one head.

    Args:
        settings: which loss, class weights, smoothing.
        counts: (C_t,) training pictures of each class, for the class weights.
    """

    weights: Tensor

    def __init__(self, settings: LossSettings, counts: NDArray[np.float64]) -> None:
        super().__init__()
        self.settings = settings
        # Not saved: it follows from the config and the training pictures.
        self.register_buffer("weights", settings.weights(counts), persistent=False)

    def per_sample(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of each sample, not reduced.

        With smoothing e the target is 1 - e on the label and e / C_t on every class; each class's part carries that
        class's weight, as in ``torch.nn.functional.cross_entropy``.

        Args:
            logits: (B, C_t).
            labels: (B,) int64, ``MISSING`` where unknown.

        Returns:
            (B,), exactly 0 and still part of the graph where the label is missing.
        """
        # Half precision is for the network; a log-probability loses its meaning in it.
        weighted = self.settings.per_class(F.log_softmax(logits.float(), dim=1)) * self.weights
        known = labels != MISSING
        loss = weighted.gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1)
        if self.settings.smoothing:
            loss = (1 - self.settings.smoothing) * loss + self.settings.smoothing * weighted.mean(dim=1)
        return loss * known

    def forward(self, logits: Tensor, labels: Tensor, sample_weights: Tensor) -> Tensor:
        """The mean over the samples whose label is known, each counting by its weight.

        Args:
            logits: (B, C_t).
            labels: (B,) int64, ``MISSING`` where unknown.
            sample_weights: (B,).

        Returns:
            A scalar; an exact zero, still part of the graph, where no label is known.
        """
        num_known = (labels != MISSING).sum().clamp(min=1)
        return (self.per_sample(logits, labels) * sample_weights).sum() / num_known
