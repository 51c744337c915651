"""Optimisers and schedules: timm's, since only its schedules honour a layer's own learning rate."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field, field_validator

import multitask.model.vision_ops  # noqa: F401  (before timm)
from multitask.errors import UserError, nearest
from multitask.settings import Count, Float, Fraction, NonNegativeFloat, PositiveInt, Settings, variants

from timm.optim import create_optimizer_v2, list_optimizers  # isort: skip
from timm.scheduler import CosineLRScheduler, PolyLRScheduler, StepLRScheduler  # isort: skip
from timm.scheduler.scheduler import Scheduler  # isort: skip


class OptimizerSettings(Settings):
    """The ``training.optimizer`` section."""

    name: str = "adamw"
    """Any name of ``timm.optim.list_optimizers()``."""
    weight_decay: NonNegativeFloat = 0.01
    layer_decay: Annotated[Float, Field(gt=0, le=1)] | None = None
    """Each layer's learning rate as a factor of the next one's; None: one rate for all."""
    options: dict[str, Any] = {}
    """Passed to the optimiser as they are, as ``betas: [0.9, 0.95]``."""

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in list_optimizers():
            raise ValueError(f"timm has no optimiser {name!r}{nearest(name, list_optimizers())}")
        return name

    @field_validator("options")
    @classmethod
    def _free(cls, options: dict[str, Any]) -> dict[str, Any]:
        own = {"lr": "training.lr", "weight_decay": "training.optimizer.weight_decay"}
        for key in options:
            if key in own:
                raise ValueError(f"cannot set {key!r}; set {own[key]}")
        return options

    def build(self, groups: list[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
        """An optimiser of parameter groups.

        Raises:
            UserError: the optimiser does not take the options.
        """
        try:
            optimizer: torch.optim.Optimizer = create_optimizer_v2(groups, opt=self.name, lr=lr, **self.options)
        except (TypeError, ValueError, RuntimeError, AssertionError) as error:
            raise UserError(f"training.optimizer: {self.name} cannot be built: {error}") from None
        return optimizer


class ScheduleSettings(Settings):
    """What every schedule has: a warm-up, linear from a hundredth of the learning rate."""

    name: str
    warmup_epochs: Count = 1

    def _warmup(self, lr: float, updates_per_epoch: int) -> dict[str, Any]:
        return {
            "warmup_t": self.warmup_epochs * updates_per_epoch,
            "warmup_lr_init": lr / 100 if self.warmup_epochs else lr,
            "warmup_prefix": True,
            "t_in_epochs": False,
        }

    def _length(self, epochs: int, updates_per_epoch: int) -> int:
        """Updates after the warm-up; where all is warm-up, some length that timm takes, since none is reached."""
        return (epochs - self.warmup_epochs) * updates_per_epoch or 2


class CosineSettings(ScheduleSettings):
    """Half a cosine down to ``final_frac`` of the learning rate."""

    name: Literal["cosine"] = "cosine"
    final_frac: Fraction = 0.01

    def build(self, optimizer: torch.optim.Optimizer, lr: float, epochs: int, updates_per_epoch: int) -> Scheduler:
        """A scheduler to be stepped after every update."""
        length = self._length(epochs, updates_per_epoch)
        warmup = self._warmup(lr, updates_per_epoch)
        return CosineLRScheduler(optimizer, length, lr_min=lr * self.final_frac, **warmup)


class LinearSettings(ScheduleSettings):
    """A straight line down to ``final_frac`` of the learning rate."""

    name: Literal["linear"] = "linear"
    final_frac: Fraction = 0.01

    def build(self, optimizer: torch.optim.Optimizer, lr: float, epochs: int, updates_per_epoch: int) -> Scheduler:
        """A scheduler to be stepped after every update."""
        length = self._length(epochs, updates_per_epoch)
        warmup = self._warmup(lr, updates_per_epoch)
        return PolyLRScheduler(optimizer, length, power=1.0, lr_min=lr * self.final_frac, **warmup)


class StepSettings(ScheduleSettings):
    """Times ``factor`` every ``every_epochs``; a factor of 1 keeps the learning rate."""

    name: Literal["step"] = "step"
    every_epochs: PositiveInt = 10
    factor: Annotated[Float, Field(gt=0, le=1)] = 0.1

    def build(self, optimizer: torch.optim.Optimizer, lr: float, epochs: int, updates_per_epoch: int) -> Scheduler:
        """A scheduler to be stepped after every update."""
        warmup = self._warmup(lr, updates_per_epoch)
        return StepLRScheduler(optimizer, self.every_epochs * updates_per_epoch, decay_rate=self.factor, **warmup)


AnySchedule = Annotated[CosineSettings | LinearSettings | StepSettings, *variants("cosine")]
"""The table of schedules."""
