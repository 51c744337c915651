"""The columns of a table, as settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from multitask.errors import UserError, nearest
from multitask.labels import LabelSpace, Task
from multitask.settings import Bool, Settings
from multitask.utils.spelling import Name

Column = Annotated[Name, Field(min_length=1)]


class ColumnSettings(Settings):
    """The columns of a task's label and number."""

    column: Column | None = None
    """The column of the label; None: that of the task's name."""
    indices: Bool = False
    """Whether the column holds class indices, from 0, in place of names or numbers; of two classes also booleans."""
    classes: Annotated[tuple[Name, ...], Field(min_length=2)] | None = None
    """What the indices stand for, in their order, to be checked against ``labels.tasks``, which must say the same."""
    number: Column | None = None
    """The column of the raw number behind the label; of a binned task the label's own column is that."""

    @model_validator(mode="after")
    def _check(self) -> ColumnSettings:
        if self.classes is not None and not self.indices:
            raise ValueError("classes: would be ignored: the column holds names or numbers; set indices to true")
        return self

    def check(self, task: Task) -> None:
        """Refuses what does not fit the task.

        Raises:
            UserError: its classes are others, or its number would come from two columns.
        """
        if self.classes is not None and self.classes != task.classes:
            order = "in another order than" if {*self.classes} == {*task.classes} else "others than"
            raise UserError(
                f"tasks.{task.name}.classes: {', '.join(self.classes)}: {order} labels.tasks.{task.name}, "
                f"{', '.join(task.classes)}; an index would mean another class"
            )
        if self.number and not self.indices and task.kind == "binned":
            raise UserError(
                f"tasks.{task.name}.number: {self.number!r} would be ignored: a binned task's own column is its number"
            )


def check_tasks(columns: Mapping[str, ColumnSettings], space: LabelSpace) -> None:
    """Refuses columns of tasks that the label space lacks, and those that do not fit theirs.

    Raises:
        UserError: as of ``ColumnSettings.check``.
    """
    for name, column in columns.items():
        if name not in space.task_names:
            raise UserError(f"tasks.{name}: labels.tasks has no such task{nearest(name, space.task_names)}")
        column.check(space.tasks[space.task_names.index(name)])
