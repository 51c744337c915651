"""Losses of one head: of its log-probabilities and the labels."""

from multitask.losses.base import LOSSES, AnyLoss, LossSettings
from multitask.losses.class_weights import (
    CLASS_WEIGHTS,
    AnyClassWeights,
    ClassWeightSettings,
    EffectiveNumber,
    ExplicitWeights,
    InverseFrequency,
    NoWeights,
)
from multitask.losses.combined import SumSettings
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

LOSSES.register(
    CrossEntropySettings,
    FocalSettings,
    ClassBalancedFocalSettings,
    Poly1Settings,
    GeneralisedCrossEntropySettings,
    SymmetricCrossEntropySettings,
    LogitAdjustedSettings,
    LDAMSettings,
    CumulativeSettings,
    MeanVarianceSettings,
    SoftLabelsSettings,
    SoftMacroF1Settings,
    SumSettings,
)
CLASS_WEIGHTS.register(NoWeights, ExplicitWeights, InverseFrequency, EffectiveNumber)

__all__ = [
    "CLASS_WEIGHTS",
    "LOSSES",
    "AnyClassWeights",
    "AnyLoss",
    "ClassWeightSettings",
    "CrossEntropySettings",
    "LossSettings",
]
