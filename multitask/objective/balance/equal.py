"""Every loss counts the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from multitask.objective.balance.base import BalancerSettings
from multitask.objective.balance.fixed import FixedBalancer


class EqualSettings(BalancerSettings):
    """The plain sum. Unlike with ``fixed``, a weight in the config is an error: a comparison's base line stays one."""

    name: Literal["equal"] = "equal"
    needs_several: ClassVar[bool] = False

    def build(self, weights: Mapping[str, float]) -> FixedBalancer:
        """A balancer of these losses."""
        return FixedBalancer(dict.fromkeys(weights, 1.0))
