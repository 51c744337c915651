"""Pruners: when a trial is stopped early."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from multitask.errors import UserError
from multitask.reporting.study.report_schema import TrialEpoch
from multitask.settings import Count, Epochs, Int, Settings, Table

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.trial import Trial

History = list[TrialEpoch]
"""A trial's epochs, in order."""


class PrunerSettings(Settings):
    """The settings of a pruner, which build Optuna's."""

    name: str
    several_objectives: ClassVar[bool] = False
    """Whether it can judge trials that have several objectives; Optuna's own cannot."""
    needs_scores: ClassVar[bool] = True
    """Whether it judges the objective's value after every epoch, as Optuna's own do; else the histories, or nothing."""
    judges_gains: ClassVar[bool] = False
    """Whether it asks for the ``gains`` of the histories' epochs."""

    def check(self, num_epochs: int) -> None:
        """Refuses trials of so few epochs that nothing could be pruned.

        Raises:
            UserError: they are.
        """

    @abstractmethod
    def build(self, num_epochs: int) -> BasePruner:
        """The pruner that Optuna's study has, for trials of so many epochs.

        Raises:
            UserError: so few leave it nothing to prune.
        """

    @abstractmethod
    def verdict(self, trial: Trial, history: History, others: Mapping[int, History], num_epochs: int) -> str | None:
        """Whether a trial stops after an epoch.

        Args:
            trial: Optuna's; with one objective the epoch's score has been reported to it.
            history: the trial's epochs so far.
            others: the histories of finished trials, by number.
            num_epochs: that the trial has in all, where no pruner stops it.

        Returns:
            The reason to stop; None to go on.
        """


PRUNERS: Table[PrunerSettings] = Table("pruner", PrunerSettings, default="median")
"""The table of pruners; its rows stand in the package's ``__init__``."""

AnyPruner = Annotated[PrunerSettings, PRUNERS]


class NoPrunerSettings(PrunerSettings):
    """Every trial runs to its end."""

    name: Literal["none"] = "none"
    several_objectives: ClassVar[bool] = True
    needs_scores: ClassVar[bool] = False

    def build(self, num_epochs: int) -> BasePruner:
        """Optuna's ``NopPruner``."""
        from optuna.pruners import NopPruner

        return NopPruner()

    def verdict(self, trial: Trial, history: History, others: Mapping[int, History], num_epochs: int) -> str | None:
        """None: no trial is stopped."""
        return None


class MedianSettings(PrunerSettings):
    """Stops a trial whose best score so far is worse than the median of the others at the same epoch."""

    name: Literal["median"] = "median"
    startup_trials: Annotated[Count, Field(le=1_000_000)] = 5
    """Finished trials before any is stopped."""
    warmup_epochs: Annotated[Count, Field(le=100_000)] = 1
    """Epochs of a trial before it can be stopped."""

    def build(self, num_epochs: int) -> BasePruner:
        """Optuna counts steps from 0, so that after n warm-up epochs the next one has step n."""
        from optuna.pruners import MedianPruner

        return MedianPruner(n_startup_trials=self.startup_trials, n_warmup_steps=self.warmup_epochs)

    def verdict(self, trial: Trial, history: History, others: Mapping[int, History], num_epochs: int) -> str | None:
        """The reason to stop, where Optuna's pruner would; None to go on."""
        return f"below the median at epoch {history[-1].epoch}" if trial.should_prune() else None


class HyperbandSettings(PrunerSettings):
    """Successive halving at several levels of boldness (Li et al. 2018, https://arxiv.org/abs/1603.06560)."""

    name: Literal["hyperband"] = "hyperband"
    min_epochs: Epochs = 1
    """Epochs of a trial before the first rung, which stands after the next one."""
    reduction: Annotated[Int, Field(ge=2, le=1000)] = 3
    """At each rung one trial of so many goes on."""

    def check(self, num_epochs: int) -> None:
        """Refuses trials that end before the first rung."""
        if self.min_epochs >= num_epochs:
            raise UserError(
                f"pruner.min_epochs: must be less than training.epochs ({num_epochs}), found {self.min_epochs}"
            )

    def build(self, num_epochs: int) -> BasePruner:
        """Rungs up to the last epoch, where Optuna counts steps from 0.

        Raises:
            UserError: the first rung would stand after the last epoch.
        """
        from optuna.pruners import HyperbandPruner

        self.check(num_epochs)
        return HyperbandPruner(min_resource=self.min_epochs, max_resource=num_epochs, reduction_factor=self.reduction)

    def verdict(self, trial: Trial, history: History, others: Mapping[int, History], num_epochs: int) -> str | None:
        """The reason to stop, where Optuna's pruner would; None to go on."""
        return f"not among the best of its rung at epoch {history[-1].epoch}" if trial.should_prune() else None


class DominatedSettings(PrunerSettings):
    """Stops a trial when a finished one was at least as good in all, and better in something, by the same epoch.

    All is every objective and every head's macro-F1. Optuna refuses to prune with several objectives; what it cannot
    rank, this leaves alone: a trial that is ahead in anything goes on, and so do all where an objective is known at the
    end only, as a calibration error. The best of each up to the epoch counts, so that one bad epoch ends no trial.
    """

    name: Literal["dominated"] = "dominated"
    several_objectives: ClassVar[bool] = True
    needs_scores: ClassVar[bool] = False
    judges_gains: ClassVar[bool] = True
    startup_trials: Annotated[Count, Field(le=1_000_000)] = 5
    """Finished trials before any is stopped."""
    warmup_epochs: Annotated[Count, Field(le=100_000)] = 1
    """Epochs of a trial before it can be stopped."""

    def build(self, num_epochs: int) -> BasePruner:
        """Optuna's ``NopPruner``, since Optuna cannot prune with several objectives."""
        from optuna.pruners import NopPruner

        return NopPruner()

    def verdict(self, trial: Trial, history: History, others: Mapping[int, History], num_epochs: int) -> str | None:
        """The finished trial that leaves this one nothing to be ahead in."""
        if len(others) < self.startup_trials or len(history) <= self.warmup_epochs:
            return None
        own_gains = best_gains(history)
        if any(gain is None for gain in own_gains):
            return None
        own = best_by_head(history)
        for number, other in others.items():
            until_then = [row for row in other if row.epoch <= history[-1].epoch]
            if not until_then:
                continue
            theirs, gains = best_by_head(until_then), best_gains(until_then)
            if len(gains) != len(own_gains) or any(gain is None for gain in gains):
                continue
            mine, other_best = np.array([*own_gains, *own]), np.array([*gains, *theirs])
            if (other_best >= mine).all() and (other_best > mine).any():
                return f"trial {number} was at least as good in every objective and head by epoch {history[-1].epoch}"
        return None


def best_by_head(history: Iterable[TrialEpoch]) -> np.ndarray:
    """(T,) each head's best macro-F1 over some epochs; an unknown score counts as 0."""
    rows = [[0.0 if score is None else score for score in row.tasks.values()] for row in history]
    best: np.ndarray = np.max(rows, axis=0)
    return best


def best_gains(history: Iterable[TrialEpoch]) -> tuple[float | None, ...]:
    """Each objective's greatest gain over some epochs, None where none has it; nothing where none were asked for."""
    columns = zip(*(row.gains or () for row in history), strict=True)
    return tuple(max((gain for gain in column if gain is not None), default=None) for column in columns)
