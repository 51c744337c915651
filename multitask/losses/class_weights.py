"""The weights of a task's classes: how much more a rare one counts than a common one."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from multitask.settings.schema import Float, NonNegativeFloat, Settings, variants

if TYPE_CHECKING:
    from torch import Tensor

FloatArray = NDArray[np.float64]


class ClassWeightSettings(Settings):
    """Class weights: their settings, and how they follow from the training pictures."""

    name: str

    @abstractmethod
    def raw(self, counts: FloatArray) -> FloatArray:
        """(C_t,) the weights' ratios, from the number of training pictures of each class."""

    def scaled(self, counts: FloatArray) -> Tensor:
        """The weights, scaled so that their mean over the training pictures is 1 and the step keeps its length.

        Args:
            counts: (C_t,) training pictures of each class.

        Returns:
            (C_t,) float32.
        """
        import torch

        raw = self.raw(counts)
        seen = counts.sum()
        mean = float((raw * counts).sum() / seen) if seen > 0 else float(raw.mean())
        return torch.tensor(raw / mean if mean > 0 else raw, dtype=torch.float32)


class NoWeights(ClassWeightSettings):
    """Every class counts the same."""

    name: Literal["none"] = "none"

    def raw(self, counts: FloatArray) -> FloatArray:
        """(C_t,) ones."""
        return np.ones_like(counts)


class ExplicitWeights(ClassWeightSettings):
    """Weights as given, in class order."""

    name: Literal["explicit"] = "explicit"
    values: Annotated[tuple[NonNegativeFloat, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _check(self) -> ExplicitWeights:
        if not any(self.values):
            raise ValueError("values must not all be 0")
        return self

    def raw(self, counts: FloatArray) -> FloatArray:
        """(C_t,) the values."""
        return np.array(self.values)


class InverseFrequency(ClassWeightSettings):
    """1 / n**power; power 1 gives every class the same say, 0.5 goes half the way."""

    name: Literal["inverse_frequency"] = "inverse_frequency"
    power: Annotated[Float, Field(ge=0, le=1)] = 1.0

    def raw(self, counts: FloatArray) -> FloatArray:
        """(C_t,) from the number of training pictures of each class."""
        return np.maximum(counts, 1.0) ** -self.power


class EffectiveNumber(ClassWeightSettings):
    """(1 - beta) / (1 - beta**n): Cui et al. 2019, equation 2, https://arxiv.org/abs/1901.05555."""

    name: Literal["effective_number"] = "effective_number"
    beta: Annotated[Float, Field(ge=0, lt=1)] = 0.999

    def raw(self, counts: FloatArray) -> FloatArray:
        """(C_t,) from the number of training pictures of each class."""
        return (1 - self.beta) / (1 - self.beta ** np.maximum(counts, 1.0))


AnyClassWeights = Annotated[NoWeights | ExplicitWeights | InverseFrequency | EffectiveNumber, *variants("none")]
"""The table of class weights."""
