"""The contract of kinds of task."""

from __future__ import annotations

import math
from typing import get_args, get_type_hints

from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace, Task, TaskSettings
from multitask.settings import validate
from multitask.testing.expect import expect, expect_refusal

NAME = "colour"
"""Of the task that is declared."""
OTHER = Task("other", ("a", "b"))
"""What it stands beside."""


def declares_a_task_of_its_name(settings: TaskSettings) -> None:
    """With two classes or more, each named once."""
    task = settings.task(NAME)
    expect(isinstance(task, Task), settings, f"give a Task, not {task!r}")
    expect(task.name == NAME, settings, f"give the task the name that it was given, not {task.name!r}")
    kinds = get_args(get_type_hints(Task)["kind"])
    expect(task.kind in kinds, settings, f"give a task of one of the kinds {', '.join(kinds)}, not {task.kind!r}")
    classes = task.classes
    expect(len(classes) >= 2, settings, f"give at least two classes, not {len(classes)}")
    expect(len(set(classes)) == len(classes), settings, f"name each class once, not {classes}")
    named = all(isinstance(name, str) and name.strip() and "/" not in name for name in classes)
    expect(named, settings, f"give classes names that are not empty and hold no '/', not {classes}")
    expect(settings.task(NAME) == task, settings, "give the same task each time")


def edges_part_the_classes_of_numbers(settings: TaskSettings) -> None:
    """Of a binned task: one fewer than there are classes, rising; no other task has any."""
    task = settings.task(NAME)
    if task.kind != "binned":
        expect(task.edges == (), settings, f"give no edges, as the task is {task.kind}")
        return
    expect(len(task.edges) == task.num_classes - 1, settings, "give an edge between each class and the next")
    ends = (task.lowest, *task.edges, task.highest)
    rising = all(low < high for low, high in zip(ends, task.edges, strict=False)) and ends[-2] <= ends[-1]
    expect(rising, settings, f"give edges that rise from lowest to highest, not {ends}")


def raw_values_become_the_indices_of_their_classes(settings: TaskSettings) -> None:
    """A class's name, or a number of a binned task; nothing is ``MISSING``, anything else is refused."""
    task = settings.task(NAME)
    values: list[object] = list(task.classes)
    if task.kind == "binned":
        lowest = task.edges[0] - 1 if math.isinf(task.lowest) else task.lowest
        values = [lowest, *task.edges]
    found = [task.index(value) for value in values]
    expect(found == list(range(task.num_classes)), settings, f"index {values} as its classes in order, not {found}")
    for value in (None, "", math.nan):
        expect(task.index(value) == MISSING, settings, f"have no label for {value!r}")
    expect_refusal(lambda: task.index("\N{SNOWMAN}"), settings, f"{NAME}: ", "refuse a value that is no class")


def stands_in_a_product(settings: TaskSettings) -> None:
    """Beside another task, whose classes go with each of its own."""
    task = settings.task(NAME)
    try:
        space = LabelSpace([task, OTHER])
    except UserError as error:
        raise AssertionError(
            f"{type(settings).__name__} must give a task that can stand in a product: {error}"
        ) from None
    expect(space.num_classes == 2 * task.num_classes, settings, "make a product with the classes of another task")
    cells = [cell.tolist() for cell in space.decode(range(space.num_classes))]
    pairs = [[own, other] for own in range(task.num_classes) for other in range(2)]
    expect(cells == pairs, settings, "make a product with the classes of another task")


def reads_back_as_it_was_written(settings: TaskSettings) -> None:
    """A run keeps its config."""
    again = validate(type(settings), settings.model_dump(mode="json"))
    expect(again == settings, settings, f"read back as it was written, not as {again!r}")
    expect(again.task(NAME) == settings.task(NAME), settings, "declare the same task once it is read back")


TASK_KIND_CHECKS = (
    declares_a_task_of_its_name,
    edges_part_the_classes_of_numbers,
    raw_values_become_the_indices_of_their_classes,
    stands_in_a_product,
    reads_back_as_it_was_written,
)
"""What is checked of a kind of task, each alone."""


def check_task_kind(settings: TaskSettings) -> None:
    """The contract of kinds of task, whole, over one of them.

    >>> from multitask.labels import TASK_KINDS
    >>> check_task_kind(TASK_KINDS["ordinal"](classes=("small", "large")))

    Raises:
        AssertionError: it does not keep it; the message says what was expected.
    """
    for check in TASK_KIND_CHECKS:
        check(settings)
