"""A label as a correction writes it: a class, a number, or a range of numbers."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from multitask.errors import UserError, nearest
from multitask.labels import Task
from multitask.utils.spelling import parse_number

_N = r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
_RANGE = re.compile(rf"<{_N}|>={_N}|{_N}\s*-{_N}|{_N}", re.ASCII)


class LabelValue:
    """A label as a correction writes it: a class or, of a binned task, the numbers from ``low`` to below ``high``.

    Attributes:
        text: as the correction has it.
        number: the number, where it is a single one; else NaN.

    Raises:
        UserError: the task has no such label.
    """

    def __init__(self, task: Task, text: str) -> None:
        self.task = task
        self.text = text
        self._range: tuple[float, float] | None = None
        self._class: int | None = None
        if text in task.classes:
            self._class = task.classes.index(text)
        elif task.kind == "binned":
            self._range = _range(task, text)
        else:
            raise UserError(f"{task.name}: unknown class {text!r}{nearest(text, task.classes)}")
        self.number = self._range[0] if self._range is not None and self._range[0] == self._range[1] else math.nan

    def label(self) -> int:
        """The index of its class.

        Raises:
            UserError: it is a range that spans several classes.
        """
        if self._range is None:
            assert self._class is not None
            return self._class
        low, high = self._range
        first = int(np.searchsorted(self.task.edges, low, side="right"))
        last = first if low == high else int(np.searchsorted(self.task.edges, high, side="left"))
        if first != last:
            raise UserError(f"{self.task.name}: {self.text!r} is not inside one of {', '.join(self.task.classes)}")
        return first

    def holds(self, labels: NDArray[np.int64], numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n,) whether each of n labels, with the numbers behind them, is this one."""
        if self._range is None:
            return np.asarray(labels == self._class)
        low, high = self._range
        return np.asarray(numbers == low if low == high else (numbers >= low) & (numbers < high))


def _range(task: Task, text: str) -> tuple[float, float]:
    """The least number, and the bound above, of the range that a text spells; twice the same for one number.

    Raises:
        UserError: the text spells neither, or the task cannot have the number.
    """
    found = _RANGE.fullmatch(text)
    numbers = [math.nan if part is None else parse_number(part) for part in found.groups()] if found else []
    given = [number for number in numbers if not math.isnan(number)]
    if not found or len(given) != 2 - (found[3] is None):  # what is too large for a float is no number
        raise UserError(
            f"{task.name}: unknown class {text!r}; it can be {', '.join(task.classes)}, a number, or a range as <30, "
            ">=30 or 30-60"
        )
    below, at_least, low, high, one = numbers
    if found[3] is not None and low >= high:
        raise UserError(f"{task.name}: a range must rise, found {text!r}")
    for number in given:
        task.check_number(number)
    if not math.isnan(below):
        return -math.inf, below
    if not math.isnan(at_least):
        return at_least, math.inf
    return (one, one) if found[3] is None else (low, high)
