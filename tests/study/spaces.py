"""Spaces made of entries, and a trial that is told what to try."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from multitask.config import Config
from multitask.errors import UserError
from multitask.settings import Settings
from multitask.study.parameters import AnyEntry
from multitask.study.space import Space

MakeConfig = Callable[..., Config]
HEADS = ("mask", "gender", "age")
LOSSES = {"kind": "categorical", "choices": ["cross_entropy", "focal"]}
GAMMA = {"low": 0.5, "high": 3.0}
STRENGTH = {"low": 0.0, "high": 0.8}


class Entries(Settings):
    space: dict[str, AnyEntry]


MakeSpace = Callable[..., Space]


def refusal(space_of: MakeSpace, entries: dict[str, Any], base: dict[str, Any] | None = None) -> str:
    with pytest.raises(UserError) as caught:
        space_of(entries, base)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Told:
    """A trial that is told what to try; everything else is the low end, or the first choice."""

    def __init__(self, **values: Any) -> None:
        self.values = values
        self.asked: list[str] = []

    def _take(self, name: str, first: Any) -> Any:
        self.asked.append(name)
        return self.values.get(name, first)

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        value: float = self._take(name, low)
        return value

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        value: int = self._take(name, low)
        return value

    def suggest_categorical(self, name: str, choices: tuple[Any, ...]) -> Any:
        return self._take(name, choices[0])


LR = {"low": 1e-4, "high": 1e-2, "log": True}
