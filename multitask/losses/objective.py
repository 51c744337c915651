"""What a network is trained for."""

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
    """

    learned: LabelSpace
    heads: Mapping[str, LossSettings]
    joint: LossSettings | None = None

    def joint_task(self) -> Task:
        """The classes that can occur, as the labels of one task: what a joint loss is trained on."""
        names = self.learned.class_names
        return Task(JOINT, tuple(name for name, here in zip(names, self.learned.possible, strict=True) if here))
