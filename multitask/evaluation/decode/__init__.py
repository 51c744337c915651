"""Decode rules: from what the network says to one class per picture."""

from multitask.evaluation.decode.base import DecodeSettings, Evidence, Fitted, Known, Priors
from multitask.evaluation.decode.plain import IndependentSettings, JointSettings
from multitask.evaluation.decode.table import AnyDecode, AnyFitted

__all__ = [
    "AnyDecode",
    "AnyFitted",
    "DecodeSettings",
    "Evidence",
    "Fitted",
    "IndependentSettings",
    "JointSettings",
    "Known",
    "Priors",
]
