"""The label space: tasks, and the classes that are the product of their labels.

Declared once, in a config; everything else derives from it. The first task varies slowest, so with tasks of 3, 2 and 3
labels the class of labels (a, b, c) is 6a + 3b + c.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from multitask.errors import UserError, nearest
from multitask.settings.schema import Float, Settings, variants
from multitask.utils.spelling import (
    MAX_NUMBER,
    Name,
    canonical,
    identifier_problem,
    missing_hint,
    number_hint,
    parse_number,
    without_fraction,
)

if TYPE_CHECKING:
    from torch import Tensor

MISSING = -1
"""The index of a label, or of a class, that is not known."""

JOINT = "joint"
"""What belongs to the classes as a whole rather than to a task, wherever it stands beside the tasks."""

RESERVED = ("class", "group", "image", JOINT, "predicted")
"""No task's name: tables and reports use them beside the tasks'."""

MAX_CLASSES = 10_000
"""A product beyond this is a mistake in the config: a picture's probabilities alone would take 80 kB."""


def _distinct(names: Sequence[str]) -> None:
    for name in names:
        if not name.strip():
            raise ValueError("a class name is empty")
        if "/" in name:
            raise ValueError(f"a class name cannot hold '/', which joins the names of a product: {name!r}")
    if len(set(names)) != len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise ValueError(f"class {twice!r} stands twice")


class NominalSettings(Settings):
    """A task whose classes have no order."""

    kind: Literal["nominal"] = "nominal"
    classes: Annotated[tuple[Name, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _check(self) -> NominalSettings:
        _distinct(self.classes)
        return self


class OrdinalSettings(Settings):
    """A task whose classes are in order, lowest first."""

    kind: Literal["ordinal"] = "ordinal"
    classes: Annotated[tuple[Name, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _check(self) -> OrdinalSettings:
        _distinct(self.classes)
        return self


Edge = Annotated[Float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER)]


class BinnedSettings(Settings):
    """A task whose classes are ranges of a number: with edges (30, 60), below 30, from 30 to below 60, and from 60."""

    kind: Literal["binned"] = "binned"
    edges: Annotated[tuple[Edge, ...], Field(min_length=1)]
    classes: tuple[Name, ...] = ()
    """Names of the ranges, lowest first; made from the edges where none are given."""
    lowest: Edge | None = None
    """The lowest number that there can be; data with a lower one, as -1 for unknown, is refused. None: any can be."""
    highest: Edge | None = None
    """The highest, likewise."""

    @model_validator(mode="after")
    def _check(self) -> BinnedSettings:
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError(f"edges must rise, found {list(self.edges)}")
        # Losses that read the number see it, and the edges, in single precision.
        if any(np.float32(low) == np.float32(high) for low, high in pairwise(self.edges)):
            raise ValueError(f"edges must differ by more than single precision rounds, found {list(self.edges)}")
        if self.lowest is not None and self.lowest >= self.edges[0]:
            raise ValueError(f"lowest: must be below the first edge ({self.edges[0]:g}), found {self.lowest:g}")
        if self.highest is not None and self.highest < self.edges[-1]:
            raise ValueError(f"highest: must be at least the last edge ({self.edges[-1]:g}), found {self.highest:g}")
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


TaskSettings = Annotated[NominalSettings | OrdinalSettings | BinnedSettings, *variants("nominal", tag="kind")]


Cell = dict[Name, Name]
"""A class of each of some tasks, by the tasks' names."""


class LabelSettings(Settings):
    """The ``labels`` section: the tasks, the slowest first, and the cells of their product that cannot occur."""

    tasks: Annotated[dict[Name, TaskSettings], Field(min_length=1)]
    impossible: tuple[Cell, ...] = ()
    """Each names labels that never go together, as ``{suit: hearts, colour: black}``."""

    @model_validator(mode="after")
    def _check(self) -> LabelSettings:
        LabelSpace.from_settings(self)
        return self


@dataclass(frozen=True)
class Task:
    """One factor of the classes.

    Attributes:
        name: as in the config.
        classes: the labels' names, in the order of their indices.
        kind: ``nominal``, ``ordinal`` or ``binned``.
        edges: for a binned task, where one class ends and the next begins, in the number's unit.
        lowest: for a binned task, the lowest number that there can be, in that unit.
        highest: the highest.
    """

    name: str
    classes: tuple[str, ...]
    kind: Literal["nominal", "ordinal", "binned"] = "nominal"
    edges: tuple[float, ...] = ()
    lowest: float = -math.inf
    highest: float = math.inf

    @property
    def num_classes(self) -> int:
        """How many labels there are."""
        return len(self.classes)

    def index(self, value: object) -> int:
        """The index of one raw value: a class name, or the number of a binned task; ``MISSING`` for None, "" and NaN.

        Raises:
            UserError: the value is no class of this task, or no number.
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
        """The number of a binned task that a text is.

        Raises:
            UserError: it is none, or none that the task can have.
        """
        number = parse_number(text)
        if math.isnan(number):
            raise UserError(f"{self.name}: must be a number, found {text!r}{number_hint(text)}")
        self.check_number(number)
        return number

    def check_number(self, number: float) -> None:
        """Checks that a binned task can have a number.

        Raises:
            UserError: it is beyond what the config says is the lowest or the highest.
        """
        for key, beyond, limit in (
            ("lowest", number < self.lowest, self.lowest),
            ("highest", number > self.highest, self.highest),
        ):
            if beyond:
                bound = "at least" if key == "lowest" else "at most"
                raise UserError(
                    f"{self.name}: must be {bound} {limit:g} (labels.tasks.{self.name}.{key}), found {number:g}; "
                    "leave the cell of an unknown number empty"
                )


@dataclass(frozen=True)
class LabelSpace:
    """The product of the tasks' labels.

    Attributes:
        tasks: the first varies slowest.
        possible: (C,) bool, the cells that can occur.
    """

    tasks: tuple[Task, ...]
    possible: NDArray[np.bool_] = field(repr=False)

    def __init__(self, tasks: Sequence[Task], impossible: Sequence[Mapping[str, str]] = ()) -> None:
        object.__setattr__(self, "tasks", tuple(tasks))
        names = self.task_names
        if len(set(names)) != len(names):
            raise UserError(f"labels.tasks: a name stands twice in {list(names)}")
        if self.num_classes > MAX_CLASSES:
            raise UserError(f"labels.tasks: at most {MAX_CLASSES} classes in the product, found {self.num_classes}")
        possible = ~self.cells(impossible, "labels.impossible")
        if possible.sum() < 2:
            raise UserError(f"labels.impossible: leaves {possible.sum()} classes that can occur; two are needed")
        possible.setflags(write=False)
        object.__setattr__(self, "possible", possible)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, LabelSpace)
            and self.tasks == other.tasks
            and bool(np.array_equal(self.possible, other.possible))
        )

    def __hash__(self) -> int:
        return hash((self.tasks, self.possible.tobytes()))

    @classmethod
    def from_settings(cls, settings: LabelSettings) -> LabelSpace:
        """The label space that a config declares."""
        tasks = []
        for name, task in settings.tasks.items():
            if problem := identifier_problem(name):
                raise UserError(f"labels.tasks: {problem} (a table's column may keep its own: tasks.TASK.column)")
            if name in RESERVED:
                raise UserError(f"labels.tasks: {name!r} is a name that tables and reports use; choose another")
            if isinstance(task, BinnedSettings):
                lowest = -math.inf if task.lowest is None else task.lowest
                highest = math.inf if task.highest is None else task.highest
                tasks.append(Task(name, task.names(), "binned", task.edges, lowest, highest))
            else:
                tasks.append(Task(name, task.classes, task.kind))
        return cls(tasks, settings.impossible)

    def cells(self, selections: Sequence[Mapping[str, str]], key: str) -> NDArray[np.bool_]:
        """(C,) bool, the cells that have all labels of one of the selections; an empty selection has them all.

        Args:
            selections: per task, the name of a class; of a task that is not named, every class.
            key: the setting that they stand in, for the error.

        Raises:
            UserError: there is no such task, or no such class.
        """
        found = np.zeros(self.sizes, dtype=bool)
        for selection in selections:
            cell = {canonical(task): canonical(name) for task, name in selection.items()}
            unknown = [name for name in cell if name not in self.task_names]
            if unknown:
                raise UserError(f"{key}: unknown task {unknown[0]!r}{nearest(unknown[0], self.task_names)}")
            for task in self.tasks:
                if task.name in cell and cell[task.name] not in task.classes:
                    near = nearest(cell[task.name], task.classes)
                    raise UserError(f"{key}: {task.name} has no class {cell[task.name]!r}{near}")
            index = (task.classes.index(cell[task.name]) if task.name in cell else slice(None) for task in self.tasks)
            found[tuple(index)] = True
        return found.ravel()

    @property
    def task_names(self) -> tuple[str, ...]:
        """The tasks' names, in order."""
        return tuple(task.name for task in self.tasks)

    @property
    def num_tasks(self) -> int:
        """T."""
        return len(self.tasks)

    @property
    def sizes(self) -> tuple[int, ...]:
        """C_t for each task."""
        return tuple(task.num_classes for task in self.tasks)

    def possible_labels(self, task: str) -> NDArray[np.bool_]:
        """(C_t,) bool, the labels of a task that occur in some cell that can occur."""
        column = self.task_names.index(task)
        others = tuple(axis for axis in range(self.num_tasks) if axis != column)
        return np.asarray(self.possible.reshape(self.sizes).any(axis=others))

    @property
    def num_classes(self) -> int:
        """C, the size of the product; cells that cannot occur are counted, so that the index stays a product's."""
        return math.prod(self.sizes)

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The classes' names in class order, the tasks' labels joined by ``/``."""
        return tuple(
            "/".join(task.classes[index] for task, index in zip(self.tasks, labels, strict=True))
            for labels in self.decode(np.arange(self.num_classes))
        )

    def encode(self, labels: ArrayLike) -> NDArray[np.int64]:
        """Classes from task labels.

        Args:
            labels: (..., T) indices, ``MISSING`` where unknown.

        Returns:
            (...) class indices; ``MISSING`` where any task's label is.

        Raises:
            ValueError: a label is out of its task's range.
        """
        array = np.asarray(labels, dtype=np.int64)
        if array.shape[-1:] != (self.num_tasks,):
            raise ValueError(f"labels must have {self.num_tasks} columns, found shape {array.shape}")
        if ((array < MISSING) | (array >= np.array(self.sizes))).any():
            raise ValueError(f"a label is outside its task's range; the tasks have {self.sizes} classes")
        missing = (array == MISSING).any(axis=-1)
        known = np.where(missing[..., None], 0, array)
        classes = np.ravel_multi_index(tuple(np.moveaxis(known, -1, 0)), self.sizes)
        return np.where(missing, MISSING, classes)

    def decode(self, classes: ArrayLike) -> NDArray[np.int64]:
        """Task labels from classes.

        Args:
            classes: (...) indices, ``MISSING`` where unknown.

        Returns:
            (..., T) label indices, ``MISSING`` in every task where the class is missing.

        Raises:
            ValueError: a class is out of range.
        """
        array = np.asarray(classes, dtype=np.int64)
        if ((array < MISSING) | (array >= self.num_classes)).any():
            raise ValueError(f"a class is outside the range of {self.num_classes} classes")
        labels = np.stack(np.unravel_index(np.maximum(array, 0), self.sizes), axis=-1)
        return np.where((array == MISSING)[..., None], MISSING, labels)

    def joint_log_probs(self, log_probs: Mapping[str, Tensor]) -> Tensor:
        """Log-probability of every class, taking the tasks as independent given the image.

        Args:
            log_probs: per task, (B, C_t); the exponentials of a row sum to 1.

        Returns:
            (B, C), columns in class order; -inf at cells that cannot occur, the rest normalised to sum to 1.

        Raises:
            ValueError: a task is missing or has the wrong width.
        """
        total: Tensor | None = None
        for position, task in enumerate(self.tasks):
            values = log_probs.get(task.name)
            if values is None or values.ndim != 2 or values.shape[1] != task.num_classes:
                found = None if values is None else tuple(values.shape)
                raise ValueError(f"log_probs[{task.name!r}] must be (B, {task.num_classes}), found {found}")
            shape = [1] * (self.num_tasks + 1)
            shape[0], shape[position + 1] = values.shape
            total = values.reshape(shape) if total is None else total + values.reshape(shape)
        assert total is not None
        joint = total.expand(-1, *self.sizes).reshape(-1, self.num_classes)
        if self.possible.all():
            return joint
        import torch

        impossible = torch.from_numpy(~self.possible).to(joint.device)
        joint = joint.masked_fill(impossible, -math.inf)
        return joint - joint.logsumexp(dim=1, keepdim=True)

    def joint_probs(self, probs: Mapping[str, Tensor]) -> Tensor:
        """Probability of every class, taking the tasks as independent given the image.

        Args:
            probs: per task, (B, C_t); rows sum to 1.

        Returns:
            (B, C), columns in class order; rows sum to 1 over the cells that can occur.

        Raises:
            ValueError: a task is missing or has the wrong width.
        """
        return self.joint_log_probs({name: values.log() for name, values in probs.items()}).exp()

    def marginal_log_probs(self, joint: Tensor) -> dict[str, Tensor]:
        """Log-probability of every task's labels, from that of the classes.

        Args:
            joint: (B, C), columns in class order.

        Returns:
            Per task, (B, C_t).

        Raises:
            ValueError: the width is not C.
        """
        if joint.ndim != 2 or joint.shape[1] != self.num_classes:
            raise ValueError(f"joint must be (B, {self.num_classes}), found {tuple(joint.shape)}")
        product = joint.reshape(-1, *self.sizes)
        marginals = {}
        for position, task in enumerate(self.tasks):
            others = [axis + 1 for axis in range(self.num_tasks) if axis != position]
            marginals[task.name] = product.logsumexp(dim=others) if others else product
        return marginals

    def marginal_probs(self, joint: Tensor) -> dict[str, Tensor]:
        """Probability of every task's labels: (B, C) to (B, C_t) per task; errors as ``marginal_log_probs``."""
        return {name: values.exp() for name, values in self.marginal_log_probs(joint.log()).items()}

    def flattened(self, name: str = "class") -> LabelSpace:
        """The same classes as the labels of a single task; a class's index is its label's."""
        names = self.class_names
        impossible = [{name: names[index]} for index in np.flatnonzero(~self.possible)]
        return LabelSpace([Task(name, names)], impossible)
