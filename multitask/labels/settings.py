"""The ``labels`` section of a config: the tasks by kind, and the cells of their product that cannot occur."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from multitask.errors import UserError
from multitask.labels.space import JOINT, LabelSpace
from multitask.labels.task import Task
from multitask.settings import Bool, Float, Settings, Table
from multitask.utils.spelling import MAX_NUMBER, Name, identifier_problem


def _distinct(names: Sequence[str]) -> None:
    for name in names:
        if not name.strip():
            raise ValueError("a class name is empty")
        if "/" in name:
            raise ValueError(f"a class name cannot hold '/', which joins the names of a product: {name!r}")
    if len(set(names)) != len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise ValueError(f"class {twice!r} stands twice")


class TaskSettings(Settings):
    """A task as a config declares it, under its name; the base of the kinds.

    >>> class YesNoSettings(TaskSettings):
    ...     kind: str = "yes_no"
    ...
    ...     def task(self, name):
    ...         return Task(name, ("no", "yes"))
    >>> YesNoSettings().task("smiles").classes
    ('no', 'yes')
    """

    kind: str
    per_group: Bool | None = None
    """Whether the images of a group must have the same label. None: they do where those that train do."""

    @abstractmethod
    def task(self, name: str) -> Task:
        """The task, given the name under which the config declares it."""


TASK_KINDS: Table[TaskSettings] = Table("kind of task", TaskSettings, default="nominal", tag="kind")
"""The table of kinds of task; its rows stand in the package's ``__init__``."""

AnyTask = Annotated[TaskSettings, TASK_KINDS]


class NominalSettings(TaskSettings):
    """A task whose classes have no order.

    >>> NominalSettings(classes=("male", "female")).task("gender")
    Task(name='gender', classes=('male', 'female'), kind='nominal', edges=(), lowest=-inf, highest=inf)
    """

    kind: Literal["nominal"] = "nominal"
    classes: Annotated[tuple[Name, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _check(self) -> NominalSettings:
        _distinct(self.classes)
        return self

    def task(self, name: str) -> Task:
        """A task of these classes."""
        return Task(name, self.classes, self.kind)


class OrdinalSettings(TaskSettings):
    """A task whose classes are in order, lowest first.

    >>> OrdinalSettings(classes=("small", "medium", "large")).task("size").kind
    'ordinal'
    """

    kind: Literal["ordinal"] = "ordinal"
    classes: Annotated[tuple[Name, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _check(self) -> OrdinalSettings:
        _distinct(self.classes)
        return self

    def task(self, name: str) -> Task:
        """A task of these classes in their order."""
        return Task(name, self.classes, self.kind)


Edge = Annotated[Float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER)]


class BinnedSettings(TaskSettings):
    """A task whose classes are ranges of a number: with edges (30, 60), below 30, from 30 to below 60, and from 60.

    >>> BinnedSettings(edges=(30.0, 60.0)).names()
    ('<30', '30-60', '>=60')
    """

    kind: Literal["binned"] = "binned"
    edges: Annotated[tuple[Edge, ...], Field(min_length=1)]
    classes: tuple[Name, ...] = ()
    """Names of the ranges, lowest first; made from the edges where none are given."""
    lowest: Edge | None = None
    """The lowest number that there can be; data with a lower one, as -1 for unknown, is refused. None: any can be."""
    highest: Edge | None = None
    """The highest number that there can be, likewise."""

    @model_validator(mode="after")
    def _check(self) -> BinnedSettings:
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError(f"edges must rise, found {list(self.edges)}")
        # Losses that read the number see it, and the edges, in single precision.
        if any(np.float32(low) == np.float32(high) for low, high in pairwise(self.edges)):
            raise ValueError(f"edges must differ by more than single precision rounds, found {list(self.edges)}")
        if self.lowest is not None and self.lowest >= self.edges[0]:
            raise ValueError(f"lowest: must be below the first edge ({self.edges[0]:.15g}), found {self.lowest:.15g}")
        if self.highest is not None and self.highest < self.edges[-1]:
            raise ValueError(
                f"highest: must be at least the last edge ({self.edges[-1]:.15g}), found {self.highest:.15g}"
            )
        if self.classes and len(self.classes) != len(self.edges) + 1:
            raise ValueError(f"{len(self.edges)} edges make {len(self.edges) + 1} classes, found {len(self.classes)}")
        _distinct(self.classes)
        return self

    def names(self) -> tuple[str, ...]:
        """The classes' names, given or made from the edges."""
        if self.classes:
            return self.classes
        edges = [str(float(edge)).removesuffix(".0") for edge in self.edges]
        between = [f"{low}-{high}" for low, high in pairwise(edges)]
        return (f"<{edges[0]}", *between, f">={edges[-1]}")

    def task(self, name: str) -> Task:
        """A task of these ranges; a bound that is not given is infinite.

        >>> BinnedSettings(edges=(30.0,), lowest=0.0).task("age").lowest
        0.0
        """
        lowest = -math.inf if self.lowest is None else self.lowest
        highest = math.inf if self.highest is None else self.highest
        return Task(name, self.names(), self.kind, self.edges, lowest, highest)


RESERVED = ("ask", "class", "drop", "error", "group", "image", JOINT, "predicted")
"""No task's name: tables, corrections and reports use them beside the tasks'."""

Cell = dict[Name, Name]
"""A class of each of some tasks, by the tasks' names."""


class LabelSettings(Settings):
    """The ``labels`` section: the tasks, the slowest first, and the cells of their product that cannot occur.

    >>> suit = NominalSettings(classes=("hearts", "spades"))
    >>> colour = NominalSettings(classes=("red", "black"))
    >>> impossible = ({"suit": "hearts", "colour": "black"}, {"suit": "spades", "colour": "red"})
    >>> section = LabelSettings(tasks={"suit": suit, "colour": colour}, impossible=impossible)
    >>> section.space().possible
    array([ True, False, False,  True])
    """

    tasks: Annotated[dict[Name, AnyTask], Field(min_length=1)]
    impossible: tuple[Cell, ...] = ()
    """Each names labels that never go together, as ``{suit: hearts, colour: black}``."""

    @model_validator(mode="after")
    def _check(self) -> LabelSettings:
        self.space()
        return self

    def space(self) -> LabelSpace:
        """The label space that is declared.

        Raises:
            UserError: a task's name is no identifier or is ``RESERVED``, or as of ``LabelSpace``.

        >>> LabelSettings(tasks={"gender": NominalSettings(classes=("male", "female"))}).space().sizes
        (2,)
        """
        for name in self.tasks:
            if problem := identifier_problem(name):
                raise UserError(
                    f"labels.tasks: {problem} (a table's column may keep its own: data.source.tasks.TASK.column)"
                )
            if name in RESERVED:
                raise UserError(f"labels.tasks: {name!r} is a name that tables and reports use; choose another")
        tasks = [replace(task.task(name), per_group=task.per_group) for name, task in self.tasks.items()]
        return LabelSpace(tasks, self.impossible)
