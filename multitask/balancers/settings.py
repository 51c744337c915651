"""The settings of balancers that have a module of their own. What they build is imported when it is built."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from multitask.labels import JOINT
from multitask.settings import NonNegativeFloat, PositiveFloat, Settings, Table

if TYPE_CHECKING:
    from torch import Tensor

    from multitask.balancers.base import Balancer
    from multitask.balancers.dynamic_average import DynamicAverageBalancer
    from multitask.balancers.famo import FAMOBalancer
    from multitask.balancers.fixed import FixedBalancer
    from multitask.balancers.gradients import GradientBalancer
    from multitask.balancers.gradnorm import GradNormBalancer
    from multitask.balancers.random import RandomBalancer
    from multitask.balancers.uncertainty import UncertaintyBalancer

INSTALL = 'pip install "multitask[torchjd]"'


class BalancerSettings(Settings):
    """A balancer: its settings, and how it is built."""

    name: str
    needs_features: ClassVar[bool] = False
    """Whether it needs features that all losses share and that are trained."""
    needs_layer: ClassVar[bool] = False
    """Whether it needs a last layer that all losses share, which ends in pooled features."""
    needs_several: ClassVar[bool] = True
    """Whether it needs several losses, there being nothing to balance in one."""
    takes_weights: ClassVar[bool] = False
    """Whether the config may weight the losses; where the method finds the weights itself they would be ignored."""

    @abstractmethod
    def build(self, weights: Mapping[str, float]) -> Balancer:
        """A balancer of losses by name, with the weights that the config gives them."""

    def check(self, weights: Mapping[str, float], unshared: str | None, past: str | None = None) -> None:
        """Refuses what the method cannot do with a config.

        Args:
            weights: of the losses by name, as the config gives them.
            unshared: why no network that is trained is shared by all losses; None: one is.
            past: why a head reads past the pooled features; None: none does.

        Raises:
            ValueError: in one line.
        """
        if self.needs_several and len(weights) == 1:
            raise ValueError(
                f"balancer: {self.name} needs several losses, but there is one, {next(iter(weights))!r}; use fixed"
            )
        if self.needs_features and unshared is not None:
            raise ValueError(f"balancer: {self.name} needs features that all heads share and train, but {unshared}")
        if self.needs_layer and past is not None:
            raise ValueError(f"balancer: {self.name} needs a last layer that all heads share, but {past}")
        for name, weight in weights.items():
            if not self.takes_weights and weight != 1:
                key = "joint.weight" if name == JOINT else f"heads.{name}.weight"
                raise ValueError(
                    f"{key}: {weight:g} would be ignored, since the balancer {self.name} finds the weights itself; "
                    "leave it at 1, or use the balancer fixed"
                )


BALANCERS: Table[BalancerSettings] = Table("balancer", BalancerSettings, default="fixed")
"""The table of balancers; its rows stand in the package's ``__init__``."""

AnyBalancer = Annotated[BalancerSettings, BALANCERS]


class FixedSettings(BalancerSettings):
    """``heads.<task>.weight`` and ``joint.weight``, as they are."""

    name: Literal["fixed"] = "fixed"
    needs_several: ClassVar[bool] = False
    takes_weights: ClassVar[bool] = True

    def build(self, weights: Mapping[str, float]) -> FixedBalancer:
        """A balancer of losses with these weights."""
        from multitask.balancers.fixed import FixedBalancer

        return FixedBalancer(weights)


class EqualSettings(BalancerSettings):
    """The plain sum. Unlike with ``fixed``, a weight in the config is an error: a comparison's base line stays one."""

    name: Literal["equal"] = "equal"
    needs_several: ClassVar[bool] = False

    def build(self, weights: Mapping[str, float]) -> FixedBalancer:
        """A balancer of these losses."""
        from multitask.balancers.fixed import FixedBalancer

        return FixedBalancer(dict.fromkeys(weights, 1.0))


class UncertaintySettings(BalancerSettings):
    """Learned log-variances; they move at ``training.lr``."""

    name: Literal["uncertainty"] = "uncertainty"

    def build(self, weights: Mapping[str, float]) -> UncertaintyBalancer:
        """A balancer of these losses."""
        from multitask.balancers.uncertainty import UncertaintyBalancer

        return UncertaintyBalancer(weights)


class DynamicAverageSettings(BalancerSettings):
    """How fast each loss fell over the last two epochs."""

    name: Literal["dynamic_average"] = "dynamic_average"
    temperature: PositiveFloat = 2.0

    def build(self, weights: Mapping[str, float]) -> DynamicAverageBalancer:
        """A balancer of these losses."""
        from multitask.balancers.dynamic_average import DynamicAverageBalancer

        return DynamicAverageBalancer(weights, self.temperature)


class RandomSettings(BalancerSettings):
    """Drawn weights: what a clever method must be better than."""

    name: Literal["random"] = "random"

    def build(self, weights: Mapping[str, float]) -> RandomBalancer:
        """A balancer of these losses."""
        from multitask.balancers.random import RandomBalancer

        return RandomBalancer(weights)


class FAMOSettings(BalancerSettings):
    """Equal rates of falling; costs one more walk forward for each step."""

    name: Literal["famo"] = "famo"
    lr: PositiveFloat = 0.025
    decay: NonNegativeFloat = 0.001

    def build(self, weights: Mapping[str, float]) -> FAMOBalancer:
        """A balancer of these losses."""
        from multitask.balancers.famo import FAMOBalancer

        return FAMOBalancer(weights, self.lr, self.decay)


class GradNormSettings(BalancerSettings):
    """Equal forces at the last shared layer."""

    name: Literal["gradnorm"] = "gradnorm"
    needs_features: ClassVar[bool] = True
    needs_layer: ClassVar[bool] = True
    alpha: NonNegativeFloat = 1.5
    lr: PositiveFloat = 0.025

    def build(self, weights: Mapping[str, float]) -> GradNormBalancer:
        """A balancer of these losses."""
        from multitask.balancers.gradnorm import GradNormBalancer

        return GradNormBalancer(weights, self.alpha, self.lr)


class GradientSettings(BalancerSettings):
    """A method that combines gradients."""

    needs_features: ClassVar[bool] = True
    takes_weights: ClassVar[bool] = True

    @abstractmethod
    def solve(self, gramian: Tensor) -> Tensor:
        """The coefficients of the gradients; about 1 each where they agree with each other.

        Args:
            gramian: (K, K) their inner products, float64 on the CPU; the mean of the diagonal is 1 and none of it is 0.

        Returns:
            (K,).
        """

    def build(self, weights: Mapping[str, float]) -> GradientBalancer:
        """A balancer of these losses."""
        from multitask.balancers.gradients import GradientBalancer

        return GradientBalancer(self, weights)


class TorchJDSettings(GradientSettings):
    """A method whose coefficients are found by TorchJD, https://torchjd.org."""

    packages: ClassVar[tuple[str, ...]] = ("torchjd",)
    """What must be installed."""

    def check(self, weights: Mapping[str, float], unshared: str | None, past: str | None = None) -> None:
        """Refuses also where a package is missing."""
        super().check(weights, unshared, past)
        missing = [package for package in self.packages if find_spec(package) is None]
        if missing:
            raise ValueError(f"balancer: {self.name} needs {', '.join(missing)}, which is not installed; {INSTALL}")
