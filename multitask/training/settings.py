"""The ``training`` section of a config."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from multitask.settings import Bool, Float, PositiveFloat, PositiveInt, Settings
from multitask.training.device import Precision
from multitask.training.optimisation import AnySchedule, CosineSettings, OptimizerSettings


class EMASettings(Settings):
    """The ``training.ema`` section: an exponential moving average of the weights, validated and kept in their place."""

    decay: Annotated[Float, Field(gt=0, lt=1)] = 0.998
    warmup: Bool = True
    """Whether the average forgets faster at first, while the weights still move far."""


class TrainingSettings(Settings):
    """The ``training`` section."""

    epochs: PositiveInt = 20
    batch_size: PositiveInt = 64
    lr: PositiveFloat = 1e-3
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: AnySchedule = CosineSettings()
    clip_norm: PositiveFloat | None = 5.0
    """The gradient is scaled down to this norm where it is longer."""
    accumulate: PositiveInt = 1
    """Batches per step."""
    ema: EMASettings | None = None
    precision: Precision = "auto"
    patience: PositiveInt | None = None
    """Epochs without a better score after which training stops; None: never."""
    monitor: str = "joint.macro_f1"
    """The score that picks the best epoch, as in ``metrics.jsonl`` below ``val``; losses are better when lower."""

    @model_validator(mode="after")
    def _check(self) -> TrainingSettings:
        if self.schedule.warmup_epochs >= self.epochs > 1 or self.schedule.warmup_epochs > self.epochs:
            raise ValueError(
                f"schedule.warmup_epochs must be less than epochs, found {self.schedule.warmup_epochs} of {self.epochs}"
            )
        return self
