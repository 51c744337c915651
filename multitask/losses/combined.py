"""The weighted sum of two losses of the same head."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from multitask.labels import Task
from multitask.losses.base import LossSettings
from multitask.losses.likelihood import CrossEntropySettings
from multitask.losses.macro_f1 import SoftMacroF1Settings
from multitask.losses.table import AnySingleLoss
from multitask.losses.training_labels import FloatArray, TrainingLabels
from multitask.settings.schema import NonNegativeFloat

if TYPE_CHECKING:
    from multitask.losses.task_losses import TaskLoss


class SumSettings(LossSettings):
    """Two losses at once, as cross entropy and soft macro-F1."""

    name: Literal["sum"] = "sum"
    first: AnySingleLoss = CrossEntropySettings()
    second: AnySingleLoss = SoftMacroF1Settings()
    second_weight: NonNegativeFloat = 1.0

    def build(self, data: TrainingLabels) -> TaskLoss:
        """Both, of the same labels."""
        from multitask.losses.task_losses import SumLoss

        return SumLoss(self.first.build(data), self.second.build(data), self.second_weight)

    def problems(self, task: Task) -> Iterator[str]:
        """Of either."""
        for key in ("first", "second"):
            yield from (f"{key}.{line}" for line in getattr(self, key).problems(task))

    def implied_log_prior(self, counts: FloatArray) -> FloatArray:
        """(C_t,): between those of the two, by their weights in the sum; an approximation."""
        one, other = self.first.implied_log_prior(counts), self.second.implied_log_prior(counts)
        mean = (one + self.second_weight * other) / (1 + self.second_weight)
        return np.asarray(mean - np.logaddexp.reduce(mean))
