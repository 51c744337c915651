"""The table of balancers."""

from __future__ import annotations

from typing import Annotated

from multitask.objective.balance.cagrad import CAGradSettings
from multitask.objective.balance.mgda import MGDASettings
from multitask.objective.balance.nash_mtl import NashMTLSettings
from multitask.objective.balance.pcgrad import PCGradSettings
from multitask.objective.balance.settings import (
    DynamicAverageSettings,
    EqualSettings,
    FAMOSettings,
    FixedSettings,
    GradNormSettings,
    RandomSettings,
    UncertaintySettings,
)
from multitask.objective.balance.upgrad import UPGradSettings
from multitask.settings import variants

AnyBalancer = Annotated[
    FixedSettings
    | EqualSettings
    | UncertaintySettings
    | DynamicAverageSettings
    | RandomSettings
    | FAMOSettings
    | GradNormSettings
    | PCGradSettings
    | CAGradSettings
    | UPGradSettings
    | NashMTLSettings
    | MGDASettings,
    *variants("fixed"),
]
"""A new balancer is one file in this package, its settings in ``settings.py``, and their name here."""
