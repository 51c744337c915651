"""Settings of losses that are no head's own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from multitask.settings import PositiveFloat, Settings


class ConsistencySettings(Settings):
    """The ``training.consistency`` section: answers that differ within a group cost, for the tasks that are per group.

    The loss is the divergence of each image's probabilities from the mean over its group's images in the batch, which
    must hold several of them: ``data.sampler: {name: per_group, together: true}``. Images without labels count too
    where another of the group has one.

    >>> ConsistencySettings().weight
    1.0
    """

    weight: Annotated[PositiveFloat, Field(le=1e6)] = 1.0
    """Beside the head's own loss, both times the head's weight."""
