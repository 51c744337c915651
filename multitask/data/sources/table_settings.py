"""The columns of a table, as settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from multitask.settings import Bool, Settings
from multitask.utils.spelling import Name

Column = Annotated[Name, Field(min_length=1)]


class ColumnSettings(Settings):
    """How a table says a task's labels."""

    column: Column | None = None
    """Its name; None: the task's."""
    indices: Bool = False
    """Whether it holds indices of classes, from 0, in place of names or numbers; of two classes also False and True."""
    number: Column | None = None
    """A column with the raw number behind the label; a binned task's own column is that already."""
