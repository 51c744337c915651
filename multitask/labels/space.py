"""The label space: the product of the tasks' labels, between classes, labels and the probabilities of either.

The first task varies slowest, so with tasks of 3, 2 and 3 labels the class of labels (a, b, c) is 6a + 3b + c.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multitask.errors import UserError, nearest
from multitask.labels.task import MISSING, Task
from multitask.utils.spelling import canonical

if TYPE_CHECKING:
    from torch import Tensor

JOINT = "joint"
"""The name of the classes as a whole, wherever they stand beside the tasks."""

MAX_CLASSES = 10_000
"""A product beyond this is a mistake in the config: an image's probabilities alone would take 80 kB."""


def shown_name(name: str) -> str:
    """What users read for a task's name or ``JOINT``: itself, or ``class``.

    >>> shown_name("age"), shown_name(JOINT)
    ('age', 'class')
    """
    return "class" if name == JOINT else name


@dataclass(frozen=True)
class LabelSpace:
    """The product of the tasks' labels.

    T is the number of tasks, C_t that of a task's labels, and C that of the classes: the product of all C_t.

    Args:
        tasks: the first varies slowest.
        impossible: cells that cannot occur, as of ``cells``.

    Attributes:
        tasks: as given.
        possible: (C,) bool, the cells that can occur.

    Raises:
        UserError: a name stands twice, there are too many classes, or fewer than two that can occur.

    >>> space = LabelSpace([Task("mask", ("wear", "incorrect", "not_worn")), Task("gender", ("male", "female"))])
    >>> space.task_names, space.num_tasks, space.sizes, space.num_classes
    (('mask', 'gender'), 2, (3, 2), 6)
    >>> space.class_names[:3]
    ('wear/male', 'wear/female', 'incorrect/male')
    """

    tasks: tuple[Task, ...]
    possible: NDArray[np.bool_] = field(repr=False)

    def __init__(self, tasks: Sequence[Task], impossible: Sequence[Mapping[str, str]] = ()) -> None:
        object.__setattr__(self, "tasks", tuple(tasks))
        names = self.task_names
        if len(set(names)) != len(names):
            raise UserError(f"labels.tasks: a name stands twice in {list(names)}")
        if self.num_classes > MAX_CLASSES:
            raise UserError(
                f"labels.tasks: the product of {len(self.tasks)} tasks must have at most {MAX_CLASSES:,} classes, "
                f"found {self.num_classes:,}; leave tasks out, or train a run for each part of them"
            )
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

    def cells(self, selections: Sequence[Mapping[str, str]], key: str) -> NDArray[np.bool_]:
        """(C,) bool, the cells that have all labels of one of the selections; an empty selection has them all.

        Args:
            selections: per task, the name of a class; of a task that is not named, every class.
            key: the setting that they stand in, for the error.

        Raises:
            UserError: there is no such task, or no such class.

        >>> space = LabelSpace([Task("mask", ("on", "off")), Task("gender", ("male", "female"))])
        >>> space.cells([{"mask": "on", "gender": "male"}, {"mask": "off"}], "impossible")
        array([ True, False,  True,  True])
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
        """T, the number of tasks."""
        return len(self.tasks)

    @property
    def sizes(self) -> tuple[int, ...]:
        """(T,) the number of labels of each task, C_t."""
        return tuple(task.num_classes for task in self.tasks)

    def possible_labels(self, task: str) -> NDArray[np.bool_]:
        """(C_t,) bool, the labels of a task that occur in some cell that can occur.

        >>> space = LabelSpace([Task("mask", ("on", "off")), Task("gender", ("male", "female"))], [{"mask": "off"}])
        >>> space.possible_labels("mask"), space.possible_labels("gender")
        (array([ True, False]), array([ True,  True]))
        """
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

        >>> space = LabelSpace([Task("mask", ("wear", "incorrect", "not_worn")), Task("gender", ("male", "female"))])
        >>> space.encode([[0, 0], [2, 1], [1, -1]])
        array([ 0,  5, -1])
        """
        array = np.asarray(labels)
        if array.dtype.kind != "i":
            array = array.astype(np.int64)
        if array.shape[-1:] != (self.num_tasks,):
            raise ValueError(f"labels must have {self.num_tasks} columns, found shape {array.shape}")
        classes = np.zeros(array.shape[:-1], dtype=np.int64)
        missing = np.zeros(array.shape[:-1], dtype=bool)
        for column, size in zip(np.moveaxis(array, -1, 0), self.sizes, strict=True):
            if ((column < MISSING) | (column >= size)).any():
                raise ValueError(f"a label is outside its task's range; the tasks have {self.sizes} classes")
            missing |= column == MISSING
            classes *= size
            classes += column
        classes[missing] = MISSING
        return classes

    def decode(self, classes: ArrayLike) -> NDArray[np.int64]:
        """Task labels from classes.

        Args:
            classes: (...) indices, ``MISSING`` where unknown.

        Returns:
            (..., T) label indices, ``MISSING`` in every task where the class is missing.

        Raises:
            ValueError: a class is out of range.

        >>> space = LabelSpace([Task("mask", ("wear", "incorrect", "not_worn")), Task("gender", ("male", "female"))])
        >>> space.decode([0, 5, -1]).tolist()
        [[0, 0], [2, 1], [-1, -1]]
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
            (B, C), columns in class order; -inf at cells that cannot occur, the exponentials of the rest sum to 1.

        Raises:
            ValueError: a task is missing or has the wrong width.

        >>> import torch
        >>> tasks = [Task("a", ("a0", "a1")), Task("b", ("b0", "b1"))]
        >>> space = LabelSpace(tasks, impossible=[{"a": "a1", "b": "b1"}])
        >>> probs = {"a": torch.tensor([[0.5, 0.5]]), "b": torch.tensor([[0.5, 0.5]])}
        >>> space.joint_log_probs({name: values.log() for name, values in probs.items()}).exp()
        tensor([[0.3333, 0.3333, 0.3333, 0.0000]])
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

        >>> import torch
        >>> space = LabelSpace([Task("a", ("a0", "a1")), Task("b", ("b0", "b1"))])
        >>> space.joint_probs({"a": torch.tensor([[0.5, 0.5]]), "b": torch.tensor([[0.2, 0.8]])})
        tensor([[0.1000, 0.4000, 0.1000, 0.4000]])
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

        >>> import torch
        >>> space = LabelSpace([Task("a", ("a0", "a1")), Task("b", ("b0", "b1"))])
        >>> space.marginal_log_probs(torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log())["a"].exp()
        tensor([[0.5000, 0.5000]])
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
        """Probability of every task's labels: (B, C) to (B, C_t) per task; errors as ``marginal_log_probs``.

        >>> import torch
        >>> space = LabelSpace([Task("a", ("a0", "a1")), Task("b", ("b0", "b1"))])
        >>> space.marginal_probs(torch.tensor([[0.1, 0.4, 0.2, 0.3]]))["b"]
        tensor([[0.3000, 0.7000]])
        """
        return {name: values.exp() for name, values in self.marginal_log_probs(joint.log()).items()}

    def flattened(self, name: str = "class") -> LabelSpace:
        """The same classes as the labels of a single task; a class's index is its label's.

        >>> space = LabelSpace([Task("a", ("a0", "a1")), Task("b", ("b0", "b1"))])
        >>> space.flattened().tasks[0].classes
        ('a0/b0', 'a0/b1', 'a1/b0', 'a1/b1')
        """
        names = self.class_names
        impossible = [{name: names[index]} for index in np.flatnonzero(~self.possible)]
        return LabelSpace([Task(name, names)], impossible)
