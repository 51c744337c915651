"""A task: one factor of the classes, and how a raw value becomes the index of its label."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from multitask.errors import UserError, nearest
from multitask.utils.spelling import canonical, missing_hint, number_hint, parse_number, without_fraction

MISSING = -1
"""The index of a label, or of a class, that is not known."""


@dataclass(frozen=True)
class Task:
    """One factor of the classes.

    Attributes:
        name: as in the config.
        classes: the labels' names, in the order of their indices.
        kind: ``nominal``, ``ordinal`` or ``binned``.
        edges: for a binned task, where one class ends and the next begins, in the number's unit.
        lowest: for a binned task, the lowest number that there can be, in that unit.
        highest: for a binned task, the highest.
        per_group: whether the images of a group must have the same label, as declared; None: that is for the data to
            say. No part of what makes two tasks equal.

    >>> mask = Task("mask", ("wear", "incorrect", "not_worn"))
    >>> mask.num_classes, mask.index("incorrect"), mask.index("")
    (3, 1, -1)
    """

    name: str
    classes: tuple[str, ...]
    kind: Literal["nominal", "ordinal", "binned"] = "nominal"
    edges: tuple[float, ...] = ()
    lowest: float = -math.inf
    highest: float = math.inf
    per_group: bool | None = field(default=None, repr=False, compare=False)

    @property
    def num_classes(self) -> int:
        """C_t, the number of labels."""
        return len(self.classes)

    def index(self, value: object) -> int:
        """The index of one raw value: a class name, or the number of a binned task; ``MISSING`` for None, "" and NaN.

        Raises:
            UserError: the value is no class of this task, or no number.

        >>> age = Task("age", ("<30", "30-60", ">=60"), "binned", (30.0, 60.0))
        >>> [age.index(value) for value in (29.5, "30", 75, None)]
        [0, 1, 2, -1]
        """
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return MISSING
        text = canonical(str(value))
        if not text:
            return MISSING
        if self.kind == "binned":
            return int(np.searchsorted(self.edges, self.number(text), side="right"))
        for name in (text, without_fraction(text)):
            if name in self.classes:
                return self.classes.index(name)
        near = missing_hint(text) or nearest(text, self.classes)
        raise UserError(f"{self.name}: unknown class {value!r}{near}")

    def number(self, text: str) -> float:
        """The number that a text of a binned task spells.

        Raises:
            UserError: the text is no number, or the number is outside ``lowest`` to ``highest``.

        >>> Task("age", ("<30", ">=30"), "binned", (30.0,)).number("29.5")
        29.5
        """
        number = parse_number(text)
        if math.isnan(number):
            raise UserError(f"{self.name}: must be a number, found {text!r}{number_hint(text)}")
        self.check_number(number)
        return number

    def check_number(self, number: float) -> None:
        """Refuses a number outside ``lowest`` to ``highest``.

        Raises:
            UserError: it is; the line names the key of the config.

        >>> Task("age", ("<30", ">=30"), "binned", (30.0,), lowest=0.0).check_number(-1)
        Traceback (most recent call last):
        multitask.errors.UserError: age: must be at least 0 (labels.tasks.age.lowest), found -1; leave the cell of ...
        """
        for key, beyond, limit in (
            ("lowest", number < self.lowest, self.lowest),
            ("highest", number > self.highest, self.highest),
        ):
            if beyond:
                bound = "at least" if key == "lowest" else "at most"
                raise UserError(
                    f"{self.name}: must be {bound} {limit:.15g} (labels.tasks.{self.name}.{key}), found {number:.15g}; "
                    "leave the cell of an unknown number empty"
                )
