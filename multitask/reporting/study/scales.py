"""Scales of a setting's values on the axis of a plot, and its ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from matplotlib.ticker import LogLocator, MaxNLocator

from multitask.reporting.study.report_schema import Param
from multitask.reporting.study.text import value_text

_LANE = 0.14  # between the axis' beginning and what has no place on it


class SettingScale:
    """The axis of one setting, 0 at its beginning and 1 at its end.

    A number that cannot stand on it, such as 0 on a logarithmic axis, and a word among numbers get a place before its
    beginning: the base config need not lie inside the space.

    Args:
        param: the setting.
        values: all that the trials have; they widen the axis where they lie outside it.
    """

    def __init__(self, param: Param, values: Iterable[Any]) -> None:
        values = list(values)
        self.categorical = param.kind == "categorical"
        self.integer = param.kind == "int"
        self.log = param.log
        self._choices: list[str] = []
        if self.categorical:
            self._choices = list(dict.fromkeys(map(value_text, [*(param.choices or ()), *values])))
        inside = [value for value in values if self._stands(value)]
        limits = [end for end in (param.low, param.high) if end is not None]
        ends = [0.0, 1.0] if self.categorical else [*limits, *inside]
        self._low, self._high = min(ends), max(ends)
        self._odd = list(dict.fromkeys(value_text(value) for value in values if not self._stands(value)))

    @property
    def start(self) -> float:
        """Where the axis begins: below 0 where some values have no place on it."""
        return -_LANE * len(self._odd)

    def place(self, value: Any) -> float:
        """The value's place; that of a choice is in the middle of its share of the axis."""
        if self.categorical:
            return (self._choices.index(value_text(value)) + 0.5) / len(self._choices)
        if not self._stands(value):
            return -_LANE * (1 + self._odd.index(value_text(value)))
        if self._low == self._high:
            return 0.5
        if self.log:
            return math.log(value / self._low) / math.log(self._high / self._low)
        place: float = (value - self._low) / (self._high - self._low)
        return place

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Places and names: every choice, or about ``most`` round numbers and all that stands before the beginning."""
        if self.categorical:
            return [((place + 0.5) / len(self._choices), name) for place, name in enumerate(self._choices)]
        found = [(-_LANE * (1 + place), name) for place, name in enumerate(self._odd)]
        return found + [(self.place(number), f"{number:.6g}") for number in self._round_numbers(most)]

    def _stands(self, value: Any) -> bool:
        """Whether the value has a place between the axis' ends."""
        if self.categorical:
            return True
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        return value > 0 or not self.log

    def _round_numbers(self, most: int) -> list[float]:
        if self._low == self._high:
            return [self._low]
        # On a logarithmic axis powers of ten, or 1, 2 and 5 of each; the ordinary round numbers where it is short.
        found = [self._inside(LogLocator(subs=subs, numticks=most + 2)) for subs in ((1,), (1, 2, 5)) if self.log]
        fitting = [numbers for numbers in found if 2 <= len(numbers) <= most + 1]
        if fitting:
            return max(fitting, key=len)
        numbers = self._inside(MaxNLocator(most, steps=[1, 2, 5, 10], integer=self.integer))
        return numbers if len(numbers) > 1 else [self._low, self._high]

    def _inside(self, locator: Any) -> list[float]:
        """The locator's ticks from end to end of the axis."""
        slack = 1e-9 * (abs(self._low) if self.log else self._high - self._low)
        numbers = [float(number) for number in locator.tick_values(self._low, self._high)]
        return [number for number in numbers if self._low - slack <= number <= self._high * (1 + 1e-9) + slack]
