"""Losses of one head, and the weights of its classes."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from multitask.labels import MISSING, Task
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


@dataclass(frozen=True, eq=False)
class TrainingLabels:
    """What a loss may know of the labels it is trained on.

    Attributes:
        task: whose labels they are; for the joint loss, the classes that can occur as one task.
        counts: (C_t,) training pictures of each label.
        centres: (C_t,) the mean raw number of the training pictures of each label, in the number's unit; NaN where
            there is none.
    """

    task: Task
    counts: NDArray[np.float64]
    centres: NDArray[np.float64]


def training_labels(task: Task, labels: NDArray[np.int64], numbers: NDArray[np.floating]) -> TrainingLabels:
    """What a loss may know, from the training pictures: (N,) labels, and (N,) raw numbers, NaN where there is none."""
    known = labels != MISSING
    counts = np.bincount(labels[known], minlength=task.num_classes).astype(float)
    known &= ~np.isnan(numbers)
    sums = np.bincount(labels[known], numbers[known], minlength=task.num_classes)
    sizes = np.bincount(labels[known], minlength=task.num_classes)
    return TrainingLabels(task, counts, np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan))


class TaskLoss(nn.Module):
    """The loss of one head.

    Args:
        settings: which loss, class weights, smoothing.
        data: the labels that it is trained on.
    """

    weights: Tensor

    def __init__(self, settings: LossSettings, data: TrainingLabels) -> None:
        super().__init__()
        self.settings = settings
        # Not saved: it follows from the config and the training pictures.
        self.register_buffer("weights", settings.weights(data.counts), persistent=False)

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Told before each epoch, from 1, which one it is: some losses change as training goes on."""

    def per_sample(self, log_probs: Tensor, labels: Tensor) -> Tensor:
        """The loss of each sample, not reduced.

        With smoothing e the target is 1 - e on the label and e / C_t on every class; each class's part carries that
        class's weight, as in ``torch.nn.functional.cross_entropy``.

        Args:
            log_probs: (B, C_t) float32.
            labels: (B,) int64, ``MISSING`` where unknown.

        Returns:
            (B,), exactly 0 and still part of the graph where the label is missing.
        """
        weighted = self.settings.per_class(log_probs) * self.weights
        known = labels != MISSING
        loss = weighted.gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1)
        if self.settings.smoothing:
            loss = (1 - self.settings.smoothing) * loss + self.settings.smoothing * weighted.mean(dim=1)
        return loss * known

    def forward(self, log_probs: Tensor, labels: Tensor, sample_weights: Tensor, numbers: Tensor) -> Tensor:
        """The mean over the samples whose label is known, each counting by its weight.

        Args:
            log_probs: (B, C_t) float32.
            labels: (B,) int64, ``MISSING`` where unknown.
            sample_weights: (B,).
            numbers: (B,) float32, the raw number that the label was made of; NaN where there is none.

        Returns:
            A scalar; an exact zero, still part of the graph, where no label is known.
        """
        num_known = (labels != MISSING).sum().clamp(min=1)
        return (self.per_sample(log_probs, labels) * sample_weights).sum() / num_known


class JointLoss(nn.Module):
    """A loss of the classes that can occur.

    Args:
        loss: over those, in class order.
        possible: (C,) bool.
    """

    columns: Tensor
    places: Tensor

    def __init__(self, loss: TaskLoss, possible: NDArray[np.bool_]) -> None:
        super().__init__()
        self.loss = loss
        columns = torch.from_numpy(np.flatnonzero(possible))
        places = torch.full((len(possible) + 1,), MISSING)  # the last is that of a missing class
        places[columns] = torch.arange(len(columns))
        self.register_buffer("columns", columns, persistent=False)
        self.register_buffer("places", places, persistent=False)

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Told before each epoch, from 1, which one it is."""
        self.loss.begin_epoch(epoch, num_epochs)

    def forward(self, log_probs: Tensor, labels: Tensor, sample_weights: Tensor, numbers: Tensor) -> Tensor:
        """As of ``TaskLoss``, of (B, C) log-probabilities and (B,) classes."""
        return self.loss(log_probs[:, self.columns], self.places[labels], sample_weights, numbers)
