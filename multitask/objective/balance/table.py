"""The table of balancers."""

from __future__ import annotations

from typing import Annotated

from multitask.objective.balance.cagrad import CAGradSettings
from multitask.objective.balance.dynamic_average import DynamicAverageSettings
from multitask.objective.balance.equal import EqualSettings
from multitask.objective.balance.famo import FAMOSettings
from multitask.objective.balance.fixed import FixedSettings
from multitask.objective.balance.gradnorm import GradNormSettings
from multitask.objective.balance.mgda import MGDASettings
from multitask.objective.balance.nash_mtl import NashMTLSettings
from multitask.objective.balance.pcgrad import PCGradSettings
from multitask.objective.balance.random import RandomSettings
from multitask.objective.balance.uncertainty import UncertaintySettings
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
"""A new balancer is one file in this package, and its name here."""
