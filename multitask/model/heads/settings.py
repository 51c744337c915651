"""The settings of heads, which a config is checked by without torch."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from multitask.errors import UserError
from multitask.labels import Task
from multitask.settings import Bool, Float, PositiveFloat, PositiveInt, Settings, Table, Width

if TYPE_CHECKING:
    from torch import nn

    from multitask.model.encoder import Widths

Dropout = Annotated[Float, Field(ge=0, lt=1)]
MAX_SCALE = 100.0
"""Bound of a learned scale, as in CLIP (Radford et al. 2021), beyond which steps are unstable."""


class NetSettings(Settings):
    """The settings of a head, which build its module."""

    name: str
    dropout: Dropout = 0.0
    reads_map: ClassVar[bool] = False
    """Whether the head looks at the last feature map, and not only at what is pooled of it."""
    ordinal: ClassVar[bool] = False
    """Whether the head is for classes that are in order."""

    def check(self, task: Task) -> None:
        """Refuses a task that the head cannot learn.

        Raises:
            ValueError: one line that begins with the key.
        """
        if self.ordinal and task.kind == "nominal":
            raise ValueError(
                f"heads.{task.name}.net: {self.name} needs classes in order, but {task.name} is nominal; "
                "use another net, or say kind: ordinal in labels"
            )

    @abstractmethod
    def build(self, widths: Widths, task: Task) -> nn.Module:
        """A module from ``Encoded`` images to (B, C_t) float32 log-probabilities, whose exponentials sum to 1."""


HEADS: Table[NetSettings] = Table("head", NetSettings, default="linear")
"""The table of heads; its rows stand in the package's ``__init__``."""

AnyNet = Annotated[NetSettings, HEADS]


class LinearSettings(NetSettings):
    """Dropout and one linear layer."""

    name: Literal["linear"] = "linear"

    def build(self, widths: Widths, task: Task) -> nn.Module:
        """A ``PooledLogits`` on pooled features."""
        from torch import nn

        from multitask.model.heads.layers import PooledLogits

        return PooledLogits(nn.Dropout(self.dropout), nn.Linear(widths.pooled, task.num_classes))


class MLPSettings(NetSettings):
    """A hidden layer between two of dropout, so that a task may combine features its own way."""

    name: Literal["mlp"] = "mlp"
    hidden: Width = 256

    def build(self, widths: Widths, task: Task) -> nn.Module:
        """A ``PooledLogits`` on pooled features."""
        from torch import nn

        from multitask.model.heads.layers import PooledLogits

        return PooledLogits(
            nn.Dropout(self.dropout),
            nn.Linear(widths.pooled, self.hidden),
            nn.GELU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.hidden, task.num_classes),
        )


class AttentionSettings(NetSettings):
    """A query of the task over the last feature map."""

    name: Literal["attention"] = "attention"
    num_heads: Annotated[PositiveInt, Field(le=1024)] = 4
    width: Width = 256
    """Of what is collected from the places, all heads together."""
    reads_map: ClassVar[bool] = True

    @model_validator(mode="after")
    def _check(self) -> AttentionSettings:
        if self.width % self.num_heads:
            raise ValueError(f"width must be a multiple of num_heads ({self.num_heads}), found {self.width}")
        return self

    def build(self, widths: Widths, task: Task) -> nn.Module:
        """An ``AttentionHead`` on the last feature map.

        Raises:
            UserError: the backbone has no such map.
        """
        from multitask.model.heads.attention import AttentionHead

        if not widths.map:
            raise UserError(
                f"heads.{task.name}.net: attention needs one last feature map, but the backbone has several"
            )
        return AttentionHead(widths.map, task.num_classes, self.num_heads, self.width, self.dropout)


class CosineSettings(NetSettings):
    """The cosines between features and a direction for each class, scaled."""

    name: Literal["cosine"] = "cosine"
    scale: PositiveFloat | None = None
    """Of the cosines; where it is learned, at first. None: the square root of the number of features, at which the
    logits begin with a standard deviation of 1, whatever the backbone."""
    learn_scale: Bool = True

    def check(self, task: Task) -> None:
        """Refuses a scale beyond the greatest that is learned."""
        super().check(task)
        if self.learn_scale and self.scale is not None and self.scale >= MAX_SCALE:
            raise ValueError(
                f"heads.{task.name}.net.scale: must be below {MAX_SCALE:g} to be learned, found {self.scale:g}"
            )

    def build(self, widths: Widths, task: Task) -> nn.Module:
        """A ``CosineHead`` on pooled features."""
        from multitask.model.heads.cosine import CosineHead

        scale = min(math.sqrt(widths.pooled), MAX_SCALE) if self.scale is None else self.scale
        return CosineHead(widths.pooled, task.num_classes, self.dropout, scale, self.learn_scale)


class CornSettings(NetSettings):
    """Conditional thresholds, each with weights of its own."""

    name: Literal["corn"] = "corn"
    ordinal: ClassVar[bool] = True

    def build(self, widths: Widths, task: Task) -> nn.Module:
        """A ``CornHead`` on pooled features."""
        from multitask.model.heads.ordinal import CornHead

        return CornHead(widths.pooled, task.num_classes, self.dropout)


class CoralSettings(NetSettings):
    """Thresholds along one direction."""

    name: Literal["coral"] = "coral"
    ordinal: ClassVar[bool] = True

    def build(self, widths: Widths, task: Task) -> nn.Module:
        """A ``CoralHead`` on pooled features."""
        from multitask.model.heads.ordinal import CoralHead

        return CoralHead(widths.pooled, task.num_classes, self.dropout)
