"""Optimisers and schedules: timm's, since only its schedules honour a layer's own learning rate."""

from __future__ import annotations

import multitask.model.vision_ops  # noqa: F401  (before timm)

from timm.optim import create_optimizer_v2  # isort: skip
from timm.scheduler import CosineLRScheduler, PolyLRScheduler, StepLRScheduler  # isort: skip
from timm.scheduler.scheduler import Scheduler  # isort: skip

__all__ = ["CosineLRScheduler", "PolyLRScheduler", "Scheduler", "StepLRScheduler", "create_optimizer_v2"]
