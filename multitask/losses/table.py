"""The table of losses that are one loss."""

from __future__ import annotations

from typing import Annotated

from multitask.losses.likelihood import (
    ClassBalancedFocalSettings,
    CrossEntropySettings,
    FocalSettings,
    Poly1Settings,
)
from multitask.losses.long_tail import LDAMSettings, LogitAdjustedSettings
from multitask.losses.macro_f1 import SoftMacroF1Settings
from multitask.losses.noise import GeneralisedCrossEntropySettings, SymmetricCrossEntropySettings
from multitask.losses.ordinal import CumulativeSettings, MeanVarianceSettings, SoftLabelsSettings
from multitask.settings.schema import variants

SingleLoss = (
    CrossEntropySettings
    | FocalSettings
    | ClassBalancedFocalSettings
    | Poly1Settings
    | GeneralisedCrossEntropySettings
    | SymmetricCrossEntropySettings
    | LogitAdjustedSettings
    | LDAMSettings
    | CumulativeSettings
    | MeanVarianceSettings
    | SoftLabelsSettings
    | SoftMacroF1Settings
)
"""The table of losses: a new one is a class in a module beside this one, and a name here."""

AnySingleLoss = Annotated[SingleLoss, *variants("cross_entropy")]
