"""Losses of one head: of its log-probabilities and the labels."""

from typing import Annotated

from multitask.losses.base import LossSettings
from multitask.losses.combined import SumSettings
from multitask.losses.likelihood import CrossEntropySettings
from multitask.losses.table import SingleLoss
from multitask.settings.schema import variants

AnyLoss = Annotated[SingleLoss | SumSettings, *variants("cross_entropy")]
"""Every loss: those of ``table.py``'s table, and the sum of two of them."""

__all__ = ["AnyLoss", "CrossEntropySettings", "LossSettings"]
