"""What a network is trained for."""

from __future__ import annotations

from multitask.labels import JOINT, LabelSpace, Task
from multitask.losses import CrossEntropySettings
from multitask.losses.objective import Objective


def test_the_joint_task_has_the_classes_that_can_occur() -> None:
    tasks = [Task("colour", ("red", "green")), Task("size", ("s", "l"))]
    space = LabelSpace(tasks, impossible=[{"colour": "red", "size": "l"}])
    task = Objective(space, dict.fromkeys(space.task_names, CrossEntropySettings())).joint_task()
    assert task.name == JOINT
    assert task.classes == ("red/s", "green/s", "green/l")
