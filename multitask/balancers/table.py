"""The table of balancers."""

from __future__ import annotations

from typing import Annotated

from multitask.balancers.cagrad import CAGradSettings
from multitask.balancers.mgda import MGDASettings
from multitask.balancers.nash_mtl import NashMTLSettings
from multitask.balancers.pcgrad import PCGradSettings
from multitask.balancers.settings import (
    DynamicAverageSettings,
    EqualSettings,
    FAMOSettings,
    FixedSettings,
    GradNormSettings,
    RandomSettings,
    UncertaintySettings,
)
from multitask.balancers.upgrad import UPGradSettings
from multitask.settings.schema import variants

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
