"""The label space: tasks, and the classes that are the product of their labels.

Declared once, in a config; everything else derives from it.
"""

from multitask.labels.settings import (
    TASK_KINDS,
    AnyTask,
    BinnedSettings,
    Cell,
    LabelSettings,
    NominalSettings,
    OrdinalSettings,
    TaskSettings,
)
from multitask.labels.space import JOINT, LabelSpace, shown_name
from multitask.labels.task import MISSING, Task

TASK_KINDS.register(NominalSettings, OrdinalSettings, BinnedSettings)

__all__ = [
    "JOINT",
    "MISSING",
    "TASK_KINDS",
    "AnyTask",
    "Cell",
    "LabelSettings",
    "LabelSpace",
    "Task",
    "TaskSettings",
    "shown_name",
]
