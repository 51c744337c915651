"""The tables of decode rules and of what they become once fitted."""

from __future__ import annotations

from typing import Annotated

from multitask.evaluation.decode.auto import AutoSettings
from multitask.evaluation.decode.bias import ClassBias, ClassBiasSettings, HeadBias, HeadBiasSettings
from multitask.evaluation.decode.expected import ExpectedF1, ExpectedF1Settings
from multitask.evaluation.decode.plain import Independent, IndependentSettings, Joint, JointSettings
from multitask.evaluation.decode.prior import PriorCorrection, PriorCorrectionSettings
from multitask.settings.schema import variants

AnyDecode = Annotated[
    IndependentSettings
    | JointSettings
    | ExpectedF1Settings
    | PriorCorrectionSettings
    | HeadBiasSettings
    | ClassBiasSettings
    | AutoSettings,
    *variants("independent"),
]
"""The table of decode rules: a new one is a class in a file here, and a name in this table; ``auto`` compares those in
``auto.candidates``."""

AnyDecodeRule = Annotated[
    Independent | Joint | PriorCorrection | ExpectedF1 | HeadBias | ClassBias, *variants("independent")
]
"""What a run keeps of its rule."""
