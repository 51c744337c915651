"""The tasks that are answered for a group, in the tables of outputs that heads give."""

from __future__ import annotations

import math
from dataclasses import dataclass

from multitask.labels import JOINT, LabelSpace


@dataclass(frozen=True)
class GroupTasks:
    """The tasks that are answered for a group.

    Attributes:
        space: the label space of the tasks, whatever the heads tell apart.
        names: the tasks per group, at least one.

    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("mask", ("on", "off")), Task("gender", ("male", "female"))])
    >>> tasks = GroupTasks(space, ("gender",))
    >>> [tasks.places(table, space) for table in ("mask", "gender", "joint")]
    [(), (0,), (1,)]
    >>> tasks.columns("joint", space), tasks.axes("joint", space), tasks.width("joint", space)
    ((0, 1), (2, 2), 2)
    """

    space: LabelSpace
    names: tuple[str, ...]

    def columns(self, table: str, learned: LabelSpace) -> tuple[int, ...]:
        """The tasks that a table of outputs tells apart: all, where classes are learned as a whole, or its head's.

        Args:
            table: a head's name, or ``joint``.
            learned: the label space of the heads.
        """
        if table == JOINT or learned.task_names != self.space.task_names:
            return tuple(range(self.space.num_tasks))
        return (self.space.task_names.index(table),)

    def axes(self, table: str, learned: LabelSpace) -> tuple[int, ...]:
        """The axes of the product that a row of a table is: the sizes of its tasks."""
        return tuple(self.space.sizes[column] for column in self.columns(table, learned))

    def places(self, table: str, learned: LabelSpace) -> tuple[int, ...]:
        """Which of a table's axes are answered for the group; none: it stays."""
        names = [self.space.task_names[column] for column in self.columns(table, learned)]
        return tuple(place for place, name in enumerate(names) if name in self.names)

    def width(self, table: str, learned: LabelSpace) -> int:
        """G, the number of values of g in a table; 1: the table stays."""
        axes = self.axes(table, learned)
        return math.prod(axes[place] for place in self.places(table, learned))
