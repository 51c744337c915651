"""Balancers: how the losses become one backward step."""

from multitask.objective.balance.base import Balancer, BalancerSettings, Step
from multitask.objective.balance.fixed import FixedBalancer, FixedSettings
from multitask.objective.balance.table import AnyBalancer

__all__ = ["AnyBalancer", "Balancer", "BalancerSettings", "FixedBalancer", "FixedSettings", "Step"]
