"""Schedules of the learning rate: settings, and the timm schedulers that they build."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

from pydantic import Field

from multitask.settings import Count, Epochs, Float, Fraction, Settings, Table
from multitask.utils.quiet import only_errors

if TYPE_CHECKING:
    import torch
    from timm.scheduler.scheduler import Scheduler


class _WarmUp(TypedDict):
    """timm's keyword arguments: its length in updates, the learning rate at its start, and that both are so meant."""

    warmup_t: int
    warmup_lr_init: float
    warmup_prefix: bool
    t_in_epochs: bool


class ScheduleSettings(Settings):
    """The base of schedules: a warm-up, linear from a hundredth of the learning rate."""

    name: str
    warmup_epochs: Annotated[Count, Field(le=100_000)] = 1
    """In which the learning rate rises in a line from a hundredth."""

    @abstractmethod
    def build(self, optimizer: torch.optim.Optimizer, lr: float, epochs: int, updates_per_epoch: int) -> Scheduler:
        """A scheduler to be stepped after every update.

        Args:
            optimizer: whose learning rates it sets.
            lr: the highest.
            epochs: of the training.
            updates_per_epoch: steps of the optimiser.
        """

    def _warmup(self, lr: float, updates_per_epoch: int) -> _WarmUp:
        return {
            "warmup_t": self.warmup_epochs * updates_per_epoch,
            "warmup_lr_init": lr / 100 if self.warmup_epochs else lr,
            "warmup_prefix": True,
            "t_in_epochs": False,
        }

    def _length(self, epochs: int, updates_per_epoch: int) -> int:
        """Updates after the warm-up; where all is warm-up, some length that timm takes, since none is reached."""
        return (epochs - self.warmup_epochs) * updates_per_epoch or 2


SCHEDULES: Table[ScheduleSettings] = Table("schedule", ScheduleSettings, default="cosine")
"""The table of schedules; its rows stand in the package's ``__init__``."""

AnySchedule = Annotated[ScheduleSettings, SCHEDULES]


class CosineSettings(ScheduleSettings):
    """Half a cosine down to ``final_frac`` of the learning rate."""

    name: Literal["cosine"] = "cosine"
    final_frac: Fraction = 0.01

    def build(self, optimizer: torch.optim.Optimizer, lr: float, epochs: int, updates_per_epoch: int) -> Scheduler:
        """A scheduler to be stepped after every update."""
        from multitask.training.optim import CosineLRScheduler

        length = self._length(epochs, updates_per_epoch)
        warmup = self._warmup(lr, updates_per_epoch)
        # It says of a cosine of one update that it has no effect, although that goes down to lr_min.
        with only_errors("timm.scheduler.cosine_lr"):
            return CosineLRScheduler(optimizer, length, lr_min=lr * self.final_frac, **warmup)


class LinearSettings(ScheduleSettings):
    """A straight line down to ``final_frac`` of the learning rate."""

    name: Literal["linear"] = "linear"
    final_frac: Fraction = 0.01

    def build(self, optimizer: torch.optim.Optimizer, lr: float, epochs: int, updates_per_epoch: int) -> Scheduler:
        """A scheduler to be stepped after every update."""
        from multitask.training.optim import PolyLRScheduler

        length = self._length(epochs, updates_per_epoch)
        warmup = self._warmup(lr, updates_per_epoch)
        return PolyLRScheduler(optimizer, length, power=1.0, lr_min=lr * self.final_frac, **warmup)


class StepSettings(ScheduleSettings):
    """Times ``factor`` every ``every_epochs``; a factor of 1 keeps the learning rate."""

    name: Literal["step"] = "step"
    every_epochs: Epochs = 10
    factor: Annotated[Float, Field(gt=0, le=1)] = 0.1

    def build(self, optimizer: torch.optim.Optimizer, lr: float, epochs: int, updates_per_epoch: int) -> Scheduler:
        """A scheduler to be stepped after every update."""
        from multitask.training.optim import StepLRScheduler

        warmup = self._warmup(lr, updates_per_epoch)
        return StepLRScheduler(optimizer, self.every_epochs * updates_per_epoch, decay_rate=self.factor, **warmup)
