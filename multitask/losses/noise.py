"""Losses that trust a label less the less the network believes it, for labels of which some are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from multitask.losses.classwise import PlainSettings
from multitask.losses.likelihood import miss
from multitask.settings.schema import Float, NonNegativeFloat

if TYPE_CHECKING:
    from torch import Tensor


class GeneralisedCrossEntropySettings(PlainSettings):
    """(1 - p**q) / q: Zhang and Sabuncu 2018, https://arxiv.org/abs/1805.07836.

    Between cross entropy (q towards 0) and the mean absolute error (q 1), which wrong labels move less but which learns
    more slowly.
    """

    name: Literal["generalised_cross_entropy"] = "generalised_cross_entropy"
    q: Annotated[Float, Field(gt=0, le=1)] = 0.7

    def per_class(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) to (B, C_t)."""
        return -(self.q * log_probs).expm1() / self.q


class SymmetricCrossEntropySettings(PlainSettings):
    """alpha times cross entropy, and beta times the cross entropy of the label under the answer.

    Wang et al. 2019, https://arxiv.org/abs/1908.06112. The reverse term -sum of p log(label) takes
    log 0 as ``log_zero``, the paper's A, and so is -A (1 - p): the mean absolute error. Smoothing takes the mean of
    that over the labels; it does not change log 0.
    """

    name: Literal["symmetric_cross_entropy"] = "symmetric_cross_entropy"
    alpha: NonNegativeFloat = 0.1
    beta: NonNegativeFloat = 1.0
    log_zero: Annotated[Float, Field(lt=0)] = -4.0

    @model_validator(mode="after")
    def _check(self) -> SymmetricCrossEntropySettings:
        if not self.alpha and not self.beta:
            raise ValueError("alpha and beta must not both be 0")
        return self

    def per_class(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) to (B, C_t)."""
        return -self.alpha * log_probs - self.beta * self.log_zero * miss(log_probs)
