"""The entries of a study's space: what can be tried at a path of the config."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Annotated, Any, Literal

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import Field, model_validator

from multitask.config import Config
from multitask.settings import Bool, Float, Int, PositiveFloat, PositiveInt, Settings, flatten, variants

Choice = Bool | Int | Float | str | None
Changes = dict[str, Any]
"""Settings of the config that a trial changes: dotted key -> value."""


def same(found: Any, wanted: Any) -> bool:
    """Whether two settings are the same: 1 and 1.0 are, 1 and true are not."""
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


class Entry(Settings):
    """What every entry of a space has.

    The key it stands under is a path of the config; ``heads.*.`` stands for every head.
    """

    kind: str
    when: dict[str, Choice | Annotated[list[Choice], Field(min_length=1)]] = {}
    """Config path -> value or values: the entry is tried only where the trial's config has one of them there."""

    @abstractmethod
    def names(self, path: str, base: Config) -> tuple[str, ...]:
        """Optuna's names for the parameters of the entry at ``path``."""

    @abstractmethod
    def distribution(self) -> BaseDistribution:
        """What each of its parameters is drawn from."""

    @abstractmethod
    def changes(self, path: str, values: tuple[Any, ...], base: Config) -> Changes:
        """What the parameters' values mean for the config."""

    @abstractmethod
    def base_values(self, path: str, base: Config) -> tuple[Any, ...] | None:
        """The base's own values of the parameters; None where they have no place in the entry's range."""

    def ends(self) -> tuple[Any, ...]:
        """The values of a parameter that stand for all of them when a config is checked."""
        drawn = self.distribution()
        return drawn.choices if isinstance(drawn, CategoricalDistribution) else (drawn.low, drawn.high)  # type: ignore[attr-defined]

    def contains(self, value: Any) -> bool:
        """Whether a parameter can have this value."""
        drawn = self.distribution()
        if isinstance(drawn, CategoricalDistribution):
            return any(same(value, choice) for choice in drawn.choices)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and drawn._contains(float(value))


class _Single(Entry):
    """An entry of one parameter, which is the setting at its path."""

    def names(self, path: str, base: Config) -> tuple[str, ...]:
        """The path itself."""
        return (path,)

    def changes(self, path: str, values: tuple[Any, ...], base: Config) -> Changes:
        """The setting at the path."""
        return {path: values[0]}

    def base_values(self, path: str, base: Config) -> tuple[Any, ...] | None:
        """The base's setting, if the entry's range holds it."""
        value = flatten(base.model_dump(mode="json")).get(path)
        return (value,) if self.contains(value) else None


def _check_range(low: float, high: float, log: bool, step: float | None) -> None:
    if low >= high:
        raise ValueError(f"low must be less than high, found {low} and {high}")
    if log and low <= 0:
        raise ValueError(f"low must be above 0 where log is true, found {low}")
    if step is not None:
        if log:
            raise ValueError("log and step exclude each other")
        steps = (high - low) / step
        if abs(steps - round(steps)) > 1e-8 * max(1.0, abs(steps)):
            raise ValueError(f"high must be low plus a whole number of steps, found {low}, {high} and {step}")


class FloatEntry(_Single):
    """A number between two ends."""

    kind: Literal["float"] = "float"
    low: Float
    high: Float
    log: Bool = False
    step: PositiveFloat | None = None

    @model_validator(mode="after")
    def _check(self) -> FloatEntry:
        _check_range(self.low, self.high, self.log, self.step)
        return self

    def distribution(self) -> BaseDistribution:
        """Uniform between the ends, or uniform in the logarithm."""
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)


class IntEntry(_Single):
    """A whole number between two ends, both included."""

    kind: Literal["int"] = "int"
    low: Int
    high: Int
    log: Bool = False
    step: PositiveInt = 1

    @model_validator(mode="after")
    def _check(self) -> IntEntry:
        _check_range(self.low, self.high, self.log, None if self.step == 1 else self.step)
        return self

    def distribution(self) -> BaseDistribution:
        """Uniform between the ends, or uniform in the logarithm."""
        return IntDistribution(self.low, self.high, log=self.log, step=self.step)


class CategoricalEntry(_Single):
    """One of some values: a variant's name, a switch, a few numbers."""

    kind: Literal["categorical"] = "categorical"
    choices: Annotated[tuple[Choice, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> CategoricalEntry:
        if len(set(self.choices)) < len(self.choices):
            raise ValueError(f"choices must all differ (1, 1.0 and true count as one), found {list(self.choices)}")
        return self

    def distribution(self) -> BaseDistribution:
        """Each choice is as likely as another."""
        return CategoricalDistribution(self.choices)


class HeadWeightsEntry(Entry):
    """The weights of all heads, which stands under ``heads``.

    K heads have K - 1 free ratios, each the weight of a head to that of the first one, drawn evenly in the logarithm.
    The weights' sum stays K: their overall scale is the learning rate's (Kurin et al. 2022,
    https://arxiv.org/abs/2201.04122).
    """

    kind: Literal["head_weights"] = "head_weights"
    low: PositiveFloat = 0.2
    high: PositiveFloat = 5.0

    @model_validator(mode="after")
    def _check(self) -> HeadWeightsEntry:
        _check_range(self.low, self.high, True, None)
        return self

    def names(self, path: str, base: Config) -> tuple[str, ...]:
        """``weight_ratio.<head>`` of every head but the first."""
        return tuple(f"weight_ratio.{head}" for head in list(base.heads)[1:])

    def distribution(self) -> BaseDistribution:
        """Uniform in the logarithm."""
        return FloatDistribution(self.low, self.high, log=True)

    def changes(self, path: str, values: tuple[Any, ...], base: Config) -> Changes:
        """The weights with these ratios, whose sum is the number of heads."""
        ratios = (1.0, *values)
        scale = len(ratios) / math.fsum(ratios)
        return {f"heads.{head}.weight": ratio * scale for head, ratio in zip(base.heads, ratios, strict=True)}

    def base_values(self, path: str, base: Config) -> tuple[Any, ...] | None:
        """The ratios of the base's weights, if the range holds them all."""
        first, *others = (head.weight for head in base.heads.values())
        if not first:
            return None
        ratios = tuple(weight / first for weight in others)
        return ratios if all(self.contains(ratio) for ratio in ratios) else None


AnyEntry = Annotated[FloatEntry | IntEntry | CategoricalEntry | HeadWeightsEntry, *variants("float", tag="kind")]
"""The table of kinds of entries."""
