"""Balancers: how the losses become one backward step."""

from multitask.balancers.settings import BalancerSettings, FixedSettings
from multitask.balancers.table import AnyBalancer

__all__ = ["AnyBalancer", "BalancerSettings", "FixedSettings"]
