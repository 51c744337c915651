"""Balancers: how the losses become one backward step."""

from multitask.objective.balance.settings import BalancerSettings, FixedSettings
from multitask.objective.balance.table import AnyBalancer

__all__ = ["AnyBalancer", "BalancerSettings", "FixedSettings"]
