"""The objective of a training: a loss for each head, and one for the classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from multitask.labels import JOINT, LabelSpace, Task
from multitask.losses.base import LossSettings


@dataclass(frozen=True)
class Objective:
    """A loss for each head and, where there is a joint term, one for the classes as a whole.

    Attributes:
        learned: the heads' label space.
        heads: their losses, by name, in the order of ``learned``.
        joint: the loss of the classes that can occur; None: there is no joint term.

    >>> from multitask.losses import CrossEntropySettings
    >>> tasks = [Task("a", ("a0", "a1")), Task("b", ("b0", "b1"))]
    >>> space = LabelSpace(tasks, impossible=[{"a": "a1", "b": "b1"}])
    >>> objective = Objective(space, dict.fromkeys(space.task_names, CrossEntropySettings()), CrossEntropySettings())
    >>> objective.joint_task().classes
    ('a0/b0', 'a0/b1', 'a1/b0')
    """

    learned: LabelSpace
    heads: Mapping[str, LossSettings]
    joint: LossSettings | None = None

    def joint_task(self) -> Task:
        """The classes that can occur as the labels of one task, which a joint loss is trained on."""
        names = self.learned.class_names
        return Task(JOINT, tuple(name for name, here in zip(names, self.learned.possible, strict=True) if here))
