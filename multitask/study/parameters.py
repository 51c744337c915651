"""The entries of a study's space: what can be tried at a path of the config."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import Field, model_validator

from multitask.errors import UserError
from multitask.settings import Bool, Changes, Float, Int, PositiveFloat, PositiveInt, Settings, Table

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Choice = Bool | Int | Float | str | None


class Suggester(Protocol):
    """The part of Optuna's trial that entries use."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        """A number between the ends."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """A whole number between the ends."""

    def suggest_categorical(self, name: str, choices: tuple[Any, ...]) -> Any:
        """One of the choices."""


def same(found: Any, wanted: Any) -> bool:
    """Whether two settings are the same: 1 and 1.0 are, 1 and true are not."""
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


@dataclass(frozen=True)
class BaseValues:
    """The values of the base config that a space reads.

    Attributes:
        settings: dotted key -> value, of every setting.
        heads: their names, in order.
    """

    settings: Mapping[str, Any]
    heads: tuple[str, ...]


class Entry(Settings):
    """The base of the entries of a space.

    The key it stands under is a path of the config; ``heads.*.`` stands for every head.
    """

    kind: str
    when: dict[str, Choice | Annotated[list[Choice], Field(min_length=1)]] = {}
    """Config path -> value or values: the entry is tried only where the trial's config has one of them there."""

    def check(self, path: str, base: BaseValues, paths: Collection[str]) -> None:
        """Refuses a place where the entry cannot stand.

        Args:
            path: of the config, under which it stands.
            base: the config's.
            paths: of all entries of the space.

        Raises:
            UserError: it cannot; the line names the entry.
        """

    @abstractmethod
    def names(self, path: str, base: BaseValues) -> tuple[str, ...]:
        """Optuna's names for the parameters of the entry at ``path``."""

    @abstractmethod
    def distribution(self) -> BaseDistribution:
        """The distribution of each of its parameters."""

    @abstractmethod
    def suggest(self, trial: Suggester, name: str) -> Any:
        """The value of one of its parameters, drawn by Optuna's trial."""

    @abstractmethod
    def changes(self, path: str, values: tuple[Any, ...], base: BaseValues) -> Changes:
        """The changes of the config that the parameters' values make."""

    @abstractmethod
    def base_values(self, path: str, base: BaseValues) -> tuple[Any, ...] | None:
        """The base's own values of the parameters; None where they have no place in the entry's range."""

    @abstractmethod
    def ends(self) -> tuple[Any, ...]:
        """The values of a parameter that stand for all of them when a config is checked."""

    @abstractmethod
    def contains(self, value: Any) -> bool:
        """Whether a parameter can have this value."""


ENTRIES: Table[Entry] = Table("kind of entry", Entry, default="float", tag="kind")
"""The table of kinds of entries; its rows stand in the package's ``__init__``."""

AnyEntry = Annotated[Entry, ENTRIES]


class _Single(Entry):
    """An entry of one parameter, which is the setting at its path."""

    def check(self, path: str, base: BaseValues, paths: Collection[str]) -> None:
        """Refuses the path of a section."""
        if below := [key for key in base.settings if key.startswith(f"{path}.")]:
            raise UserError(f"space.{path}: is a section; name one of its settings, as {below[0]}")

    def names(self, path: str, base: BaseValues) -> tuple[str, ...]:
        """The path itself."""
        return (path,)

    def changes(self, path: str, values: tuple[Any, ...], base: BaseValues) -> Changes:
        """The setting at the path."""
        return {path: values[0]}

    def base_values(self, path: str, base: BaseValues) -> tuple[Any, ...] | None:
        """The base's setting, if the entry's range holds it."""
        value = base.settings.get(path)
        return (value,) if self.contains(value) else None


def check_range(low: float, high: float, log: bool, step: float | None) -> None:
    """Refuses a range that holds nothing, or not what it says.

    Raises:
        ValueError: it does.
    """
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


def in_range(value: Any, low: float, high: float, step: float | None = None) -> bool:
    """Whether a value is a number between two ends and, where there is a step, a whole number of them from the low."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
        return False
    return step is None or abs((value - low) / step - round((value - low) / step)) < 1e-8


class FloatEntry(_Single):
    """A number between two ends."""

    kind: Literal["float"] = "float"
    low: Float
    high: Float
    log: Bool = False
    step: PositiveFloat | None = None

    @model_validator(mode="after")
    def _check(self) -> FloatEntry:
        check_range(self.low, self.high, self.log, self.step)
        return self

    def distribution(self) -> BaseDistribution:
        """Uniform between the ends, or uniform in the logarithm."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def suggest(self, trial: Suggester, name: str) -> float:
        """A number between the ends."""
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def ends(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return self.low, self.high

    def contains(self, value: Any) -> bool:
        """Whether it is between the ends, on a step where there are steps."""
        return in_range(value, self.low, self.high, self.step)


class IntEntry(_Single):
    """A whole number between two ends, both included."""

    kind: Literal["int"] = "int"
    low: Int
    high: Int
    log: Bool = False
    step: PositiveInt = 1

    @model_validator(mode="after")
    def _check(self) -> IntEntry:
        check_range(self.low, self.high, self.log, None if self.step == 1 else self.step)
        return self

    def distribution(self) -> BaseDistribution:
        """Uniform between the ends, or uniform in the logarithm."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, log=self.log, step=self.step)

    def suggest(self, trial: Suggester, name: str) -> int:
        """A whole number between the ends."""
        return trial.suggest_int(name, self.low, self.high, step=self.step, log=self.log)

    def ends(self) -> tuple[int, int]:
        """The least and the greatest value."""
        return self.low, self.high

    def contains(self, value: Any) -> bool:
        """Whether it is between the ends, on a step."""
        return in_range(value, self.low, self.high, self.step)


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
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.choices)

    def suggest(self, trial: Suggester, name: str) -> Any:
        """One of the choices."""
        return trial.suggest_categorical(name, self.choices)

    def ends(self) -> tuple[Any, ...]:
        """Every choice."""
        return self.choices

    def contains(self, value: Any) -> bool:
        """Whether it is one of the choices."""
        return any(same(value, choice) for choice in self.choices)
