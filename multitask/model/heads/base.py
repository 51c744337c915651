"""What every head is."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

from pydantic import Field
from torch import nn

from multitask.labels import Task
from multitask.model.encoded import Widths
from multitask.settings import Float, Settings

Dropout = Annotated[Float, Field(ge=0, lt=1)]


class NetSettings(Settings):
    """A head: its settings, and how it is built."""

    name: str
    dropout: Dropout = 0.0
    reads_map: ClassVar[bool] = False
    """Whether the head looks at the last feature map, and not only at what is pooled of it."""
    ordinal: ClassVar[bool] = False
    """Whether the head is for classes that are in order."""

    def check(self, task: Task) -> None:
        """Whether the head can learn a task.

        Raises:
            ValueError: it cannot; the message begins with the key.
        """
        if self.ordinal and task.kind == "nominal":
            raise ValueError(
                f"heads.{task.name}.net: {self.name} needs classes in order, but {task.name} is nominal; "
                "use another net, or say kind: ordinal in labels"
            )

    @abstractmethod
    def build(self, widths: Widths, task: Task) -> nn.Module:
        """A module from ``Encoded`` pictures to (B, C_t) float32 log-probabilities, whose exponentials sum to 1."""
