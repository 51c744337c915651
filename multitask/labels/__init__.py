"""The label space: tasks, and the classes that are the product of their labels.

Declared once, in a config; everything else derives from it.
"""

from multitask.labels.settings import Cell, LabelSettings
from multitask.labels.space import JOINT, LabelSpace
from multitask.labels.task import MISSING, Task

__all__ = ["JOINT", "MISSING", "Cell", "LabelSettings", "LabelSpace", "Task"]
