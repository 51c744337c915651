"""Losses of one head: what it answers, against the labels."""

from typing import Annotated

from multitask.objective.losses.base import LossSettings
from multitask.objective.losses.combined import SumSettings
from multitask.objective.losses.likelihood import CrossEntropySettings
from multitask.objective.losses.single import SingleLoss
from multitask.settings import variants

AnyLoss = Annotated[SingleLoss | SumSettings, *variants("cross_entropy")]
"""Every loss: those of ``single.py``'s table, and the sum of two of them."""

__all__ = ["AnyLoss", "CrossEntropySettings", "LossSettings"]
