"""Losses for noisy labels: the less probable the network holds a label, the less it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from multitask.losses.classwise import PlainSettings
from multitask.losses.likelihood import miss
from multitask.settings import Float, NonNegativeFloat

if TYPE_CHECKING:
    from torch import Tensor


class GeneralisedCrossEntropySettings(PlainSettings):
    """Generalised cross entropy: Zhang and Sabuncu 2018, https://arxiv.org/abs/1805.07836.

    l_c = (1 - p_c ** ``q``) / ``q``, with p_c the probability of class c. Between cross entropy (``q`` towards 0) and
    the mean absolute error (``q`` 1), which wrong labels move less but which learns more slowly.

    >>> import torch
    >>> GeneralisedCrossEntropySettings(q=0.5).per_class(torch.tensor([[0.64, 0.36]]).log())
    tensor([[0.4000, 0.8000]])
    """

    name: Literal["generalised_cross_entropy"] = "generalised_cross_entropy"
    q: Annotated[Float, Field(gt=0, le=1)] = 0.7

    def per_class(self, log_probs: Tensor) -> Tensor:
        """(B, C_t) log-probabilities to (B, C_t) losses."""
        return -(self.q * log_probs).expm1() / self.q


class SymmetricCrossEntropySettings(PlainSettings):
    """Symmetric cross entropy: Wang et al. 2019, https://arxiv.org/abs/1908.06112.

    l_c = -``alpha`` log p_c - ``beta`` A (1 - p_c), with p_c the probability of class c. The first term is cross
    entropy; the second the reverse cross entropy -sum_k p_k log y_k, with y_k 1 where k is the label and else 0: log 0
    is taken to be A, here ``log_zero``, so that it is the mean absolute error times -A. Smoothing takes the mean of
    that over the labels; it does not change log 0.

    >>> import torch
    >>> SymmetricCrossEntropySettings(alpha=0.1, beta=1.0, log_zero=-4.0).per_class(torch.tensor([[0.8, 0.2]]).log())
    tensor([[0.8223, 3.3609]])
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
        """(B, C_t) log-probabilities to (B, C_t) losses."""
        return -self.alpha * log_probs - self.beta * self.log_zero * miss(log_probs)
