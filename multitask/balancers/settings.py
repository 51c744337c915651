"""The settings of balancers, which a config is checked by without torch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from multitask.labels import JOINT
from multitask.settings import NonNegativeFloat, PositiveFloat, Settings, Table

if TYPE_CHECKING:
    from torch import Tensor

    from multitask.balancers.base import Balancer
    from multitask.balancers.fixed import FixedBalancer
    from multitask.balancers.gradients import GradientBalancer

INSTALL = 'pip install "multitask[torchjd]"'


class BalancerSettings(Settings):
    """The settings of a balancer, which build its module.

    >>> settings = UncertaintySettings()
    >>> weights = {"mask": 1.0, "age": 1.0}
    >>> settings.check(weights, unshared=None)
    >>> settings.build(weights).current_weights()
    {'mask': 1.0, 'age': 1.0}
    >>> settings.check({"mask": 1.0}, unshared=None)
    Traceback (most recent call last):
    ValueError: balancer: uncertainty needs several losses, but there is one, 'mask'; use fixed
    """

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
        """The balancer of the losses in ``weights``: by name, what the config gives each."""

    def check(self, weights: Mapping[str, float], unshared: str | None, past: str | None = None) -> None:
        """Refuses what the method cannot do with a config.

        Args:
            weights: of the losses by name, as the config gives them.
            unshared: why no network that is trained is shared by all losses; None: one is.
            past: why a head reads past the pooled features; None: none does.

        Raises:
            ValueError: one line that names the key or the method, the rule and what was found.
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
    """The weights in ``heads.<task>.weight`` and ``joint.weight`` (``FixedBalancer``).

    >>> FixedSettings().build({"mask": 1.0, "age": 0.5}).current_weights()
    {'mask': 1.0, 'age': 0.5}
    """

    name: Literal["fixed"] = "fixed"
    needs_several: ClassVar[bool] = False
    takes_weights: ClassVar[bool] = True

    def build(self, weights: Mapping[str, float]) -> FixedBalancer:
        """The sum of the losses by these weights."""
        from multitask.balancers.fixed import FixedBalancer

        return FixedBalancer(weights)


class EqualSettings(BalancerSettings):
    """The plain sum. Unlike with ``fixed``, a weight in the config is an error: a comparison's baseline stays one.

    >>> EqualSettings().build({"mask": 1.0, "age": 1.0}).current_weights()
    {'mask': 1.0, 'age': 1.0}
    """

    name: Literal["equal"] = "equal"
    needs_several: ClassVar[bool] = False

    def build(self, weights: Mapping[str, float]) -> FixedBalancer:
        """The sum of the losses, each by 1."""
        from multitask.balancers.fixed import FixedBalancer

        return FixedBalancer(dict.fromkeys(weights, 1.0))


class ModuleSettings(BalancerSettings):
    """The settings of a balancer whose constructor takes the names of the losses, and the other keys by their names.

    >>> RandomSettings().build({"mask": 1.0, "age": 1.0}).names
    ('mask', 'age')
    """

    module: ClassVar[str]
    """``module:class`` of the balancer, imported only when it is built, since it imports torch."""

    def build(self, weights: Mapping[str, float]) -> Balancer:
        """The balancer of the losses in ``weights``, which it weights itself."""
        keys = {key: getattr(self, key) for key in type(self).model_fields if key != "name"}
        balancer: Balancer = resolve_name(self.module)(tuple(weights), **keys)
        return balancer


class UncertaintySettings(ModuleSettings):
    """Learned log-variances (``UncertaintyBalancer``); they move at ``training.lr``.

    >>> UncertaintySettings().build({"mask": 1.0, "age": 1.0}).current_weights()
    {'mask': 1.0, 'age': 1.0}
    """

    name: Literal["uncertainty"] = "uncertainty"
    module: ClassVar[str] = "multitask.balancers.uncertainty:UncertaintyBalancer"


class DynamicAverageSettings(ModuleSettings):
    """Dynamic weight average: by how far each loss fell over the last two epochs (``DynamicAverageBalancer``).

    >>> DynamicAverageSettings(temperature=1.0).build({"mask": 1.0, "age": 1.0}).temperature
    1.0
    """

    name: Literal["dynamic_average"] = "dynamic_average"
    module: ClassVar[str] = "multitask.balancers.dynamic_average:DynamicAverageBalancer"
    temperature: PositiveFloat = 2.0
    """The higher, the nearer the weights are to each other."""


class RandomSettings(ModuleSettings):
    """Weights drawn anew for every batch (``RandomBalancer``): what a clever method must be better than.

    >>> type(RandomSettings().build({"mask": 1.0, "age": 1.0})).__name__
    'RandomBalancer'
    """

    name: Literal["random"] = "random"
    module: ClassVar[str] = "multitask.balancers.random:RandomBalancer"


class FAMOSettings(ModuleSettings):
    """Equal relative rates of falling (``FAMOBalancer``); costs a second forward pass for each step.

    >>> FAMOSettings(decay=0.01).build({"mask": 1.0, "age": 1.0}).decay
    0.01
    """

    name: Literal["famo"] = "famo"
    module: ClassVar[str] = "multitask.balancers.famo:FAMOBalancer"
    lr: PositiveFloat = 0.025
    """Of the weights' logits."""
    decay: NonNegativeFloat = 0.001
    """Of the weights' logits: the strength of their pull to equal weights."""


class GradNormSettings(ModuleSettings):
    """Gradients of equal norm at the last shared layer (``GradNormBalancer``).

    >>> GradNormSettings(alpha=0.5).build({"mask": 1.0, "age": 1.0}).alpha
    0.5
    """

    name: Literal["gradnorm"] = "gradnorm"
    module: ClassVar[str] = "multitask.balancers.gradnorm:GradNormBalancer"
    needs_features: ClassVar[bool] = True
    needs_layer: ClassVar[bool] = True
    alpha: NonNegativeFloat = 1.5
    """Strength with which losses that fall slowly are favoured; 0: equal norms."""
    lr: PositiveFloat = 0.025
    """Of the weights."""


class GradientSettings(BalancerSettings):
    """The settings of a method that combines the gradients of the losses (``GradientBalancer``).

    >>> class SumOfGradients(GradientSettings):
    ...     name: str = "sum_of_gradients"
    ...
    ...     def solve(self, gramian):
    ...         return gramian.new_ones(len(gramian))
    >>> import torch
    >>> SumOfGradients().solve(torch.eye(2))
    tensor([1., 1.])
    >>> SumOfGradients().build({"mask": 1.0, "age": 1.0}).names
    ('mask', 'age')
    """

    needs_features: ClassVar[bool] = True
    takes_weights: ClassVar[bool] = True

    @abstractmethod
    def solve(self, gramian: Tensor) -> Tensor:
        """The coefficients a of the sum of gradients that replaces the plain sum; about 1 each where gradients agree.

        Args:
            gramian: (K, K) the gradients' inner products, float64 on the CPU; its diagonal has a mean of 1 and no 0.

        Returns:
            (K,).
        """

    def build(self, weights: Mapping[str, float]) -> GradientBalancer:
        """A ``GradientBalancer`` by this method."""
        from multitask.balancers.gradients import GradientBalancer

        return GradientBalancer(self, weights)


class TorchJDSettings(GradientSettings):
    """The settings of a method whose coefficients are found by TorchJD, https://torchjd.org.

    >>> from multitask.balancers.mgda import MGDASettings
    >>> class Unsolved(MGDASettings):
    ...     packages = ("a_missing_package",)
    >>> Unsolved().check({"mask": 1.0, "age": 1.0}, unshared=None)
    Traceback (most recent call last):
    ValueError: balancer: mgda needs a_missing_package, which is not installed; pip install "multitask[torchjd]"
    """

    packages: ClassVar[tuple[str, ...]] = ("torchjd",)
    """The packages that must be installed, by the names that they are imported by."""

    def check(self, weights: Mapping[str, float], unshared: str | None, past: str | None = None) -> None:
        """Refuses what the method cannot do, and a package that is not installed; as of ``BalancerSettings.check``."""
        super().check(weights, unshared, past)
        missing = [package for package in self.packages if find_spec(package) is None]
        if missing:
            raise ValueError(f"balancer: {self.name} needs {', '.join(missing)}, which is not installed; {INSTALL}")
