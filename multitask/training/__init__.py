"""The one training loop, and what it needs."""

from multitask.training.schedules import (
    SCHEDULES,
    AnySchedule,
    CosineSettings,
    LinearSettings,
    ScheduleSettings,
    StepSettings,
)

SCHEDULES.register(CosineSettings, LinearSettings, StepSettings)

__all__ = ["SCHEDULES", "AnySchedule", "ScheduleSettings"]
