"""Decode rules: from the network's outputs to one class per image."""

from multitask.evaluation.decode.auto import AutoSettings
from multitask.evaluation.decode.base import (
    DECODE_RULES,
    FITTED_RULES,
    AnyDecode,
    AnyDecodeRule,
    DecodeRule,
    DecodeSettings,
)
from multitask.evaluation.decode.bias import ClassBias, ClassBiasSettings, HeadBias, HeadBiasSettings
from multitask.evaluation.decode.expected import ExpectedF1, ExpectedF1Settings
from multitask.evaluation.decode.outputs import LabelledOutputs, ModelOutputs, Priors
from multitask.evaluation.decode.plain import Independent, IndependentSettings, Joint, JointSettings
from multitask.evaluation.decode.pooling import (
    POOLING_RULES,
    AnyPoolingRule,
    LogPooling,
    MeanPooling,
    NoPooling,
    PoolingRule,
)
from multitask.evaluation.decode.prior import PriorCorrection, PriorCorrectionSettings

DECODE_RULES.register(
    IndependentSettings,
    JointSettings,
    ExpectedF1Settings,
    PriorCorrectionSettings,
    HeadBiasSettings,
    ClassBiasSettings,
    AutoSettings,
)
FITTED_RULES.register(Independent, Joint, PriorCorrection, ExpectedF1, HeadBias, ClassBias)
POOLING_RULES.register(MeanPooling, LogPooling, NoPooling)

__all__ = [
    "DECODE_RULES",
    "FITTED_RULES",
    "POOLING_RULES",
    "AnyDecode",
    "AnyDecodeRule",
    "AnyPoolingRule",
    "DecodeRule",
    "DecodeSettings",
    "IndependentSettings",
    "JointSettings",
    "LabelledOutputs",
    "LogPooling",
    "MeanPooling",
    "ModelOutputs",
    "NoPooling",
    "PoolingRule",
    "Priors",
]
