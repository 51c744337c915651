"""Decode rules: from what the network says to one class per picture."""

from multitask.evaluation.decode.base import DecodeRule, DecodeSettings, LabelledOutputs, ModelOutputs, Priors
from multitask.evaluation.decode.plain import IndependentSettings, JointSettings
from multitask.evaluation.decode.table import AnyDecode, AnyDecodeRule

__all__ = [
    "AnyDecode",
    "AnyDecodeRule",
    "DecodeRule",
    "DecodeSettings",
    "IndependentSettings",
    "JointSettings",
    "LabelledOutputs",
    "ModelOutputs",
    "Priors",
]
