"""The columns of a table, as settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from multitask.settings import Bool, Settings
from multitask.utils.spelling import Name

Column = Annotated[Name, Field(min_length=1)]


class ColumnSettings(Settings):
    """The columns of a task's label and number."""

    column: Column | None = None
    """The column of the label; None: that of the task's name."""
    indices: Bool = False
    """Whether the column holds class indices, from 0, in place of names or numbers; of two classes also booleans."""
    number: Column | None = None
    """The column of the raw number behind the label; of a binned task the label's own column is that."""
