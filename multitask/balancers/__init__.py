"""Balancers: how the losses become one backward step."""

from multitask.balancers.cagrad import CAGradSettings
from multitask.balancers.mgda import MGDASettings
from multitask.balancers.nash_mtl import NashMTLSettings
from multitask.balancers.pcgrad import PCGradSettings
from multitask.balancers.settings import (
    BALANCERS,
    AnyBalancer,
    BalancerSettings,
    DynamicAverageSettings,
    EqualSettings,
    FAMOSettings,
    FixedSettings,
    GradNormSettings,
    RandomSettings,
    UncertaintySettings,
)
from multitask.balancers.upgrad import UPGradSettings

BALANCERS.register(
    FixedSettings,
    EqualSettings,
    UncertaintySettings,
    DynamicAverageSettings,
    RandomSettings,
    FAMOSettings,
    GradNormSettings,
    PCGradSettings,
    CAGradSettings,
    UPGradSettings,
    NashMTLSettings,
    MGDASettings,
)

__all__ = ["BALANCERS", "AnyBalancer", "BalancerSettings", "FixedSettings"]
