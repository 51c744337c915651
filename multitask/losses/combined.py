"""The weighted sum of two losses of the same head."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from multitask.labels import Task
from multitask.losses.base import LOSSES, LossSettings
from multitask.losses.likelihood import CrossEntropySettings
from multitask.losses.macro_f1 import SoftMacroF1Settings
from multitask.losses.training_labels import FloatArray, TrainingLabels
from multitask.settings import NonNegativeFloat

if TYPE_CHECKING:
    from multitask.losses.task_losses import TaskLoss

AnySingleLoss = Annotated[LossSettings, LOSSES.part(lambda row: not row.nests)]


class SumSettings(LossSettings):
    """L_1 + ``second_weight`` L_2, L_1 the loss ``first`` and L_2 ``second``, as cross entropy and soft macro-F1.

    >>> import torch
    >>> data = TrainingLabels(Task("gender", ("male", "female")), np.array([30.0, 10.0]), np.full(2, np.nan))
    >>> loss = SumSettings(second={"name": "poly1", "epsilon": 1.0}, second_weight=0.5).build(data)
    >>> log_probs, labels = torch.tensor([[0.8, 0.2]]).log(), torch.tensor([0])
    >>> loss(log_probs, labels, sample_weights=torch.ones(1), numbers=torch.full((1,), torch.nan))
    tensor(0.4347)
    """

    name: Literal["sum"] = "sum"
    nests: ClassVar[bool] = True
    # Made when they are needed: while this module is read, the tables that they look rows up in are not whole yet.
    first: Annotated[AnySingleLoss, Field(default_factory=CrossEntropySettings)]
    second: Annotated[AnySingleLoss, Field(default_factory=SoftMacroF1Settings)]
    second_weight: NonNegativeFloat = 1.0

    def build(self, data: TrainingLabels) -> TaskLoss:
        """A ``SumLoss`` of both, built of the same labels."""
        from multitask.losses.task_losses import SumLoss

        return SumLoss(self.first.build(data), self.second.build(data), self.second_weight)

    def problems(self, task: Task) -> Iterator[str]:
        """Those of both losses, under their keys."""
        for key in ("first", "second"):
            yield from (f"{key}.{line}" for line in getattr(self, key).problems(task))

    def implied_log_prior(self, counts: FloatArray, drawn: FloatArray | None = None) -> FloatArray:
        """(C_t,) the mean of both log-priors by their weights in the sum, normalised; an approximation."""
        one, other = (part.implied_log_prior(counts, drawn) for part in (self.first, self.second))
        mean = (one + self.second_weight * other) / (1 + self.second_weight)
        return np.asarray(mean - np.logaddexp.reduce(mean))
