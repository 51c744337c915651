"""Pruners: when a trial is stopped early."""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from multitask.errors import UserError
from multitask.reporting.study.report_schema import TrialEpoch
from multitask.settings import Count, Epochs, Int, Settings, Table, Trials

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


class WarmupSettings(PrunerSettings):
    """Of pruners that leave the first trials alone, and the first epochs of every trial."""

    startup_trials: Annotated[Count, Field(le=1_000_000)] = 5
    """Finished trials before any is stopped."""
    warmup_epochs: Annotated[Count, Field(le=100_000)] | None = None
    """Epochs of a trial before it can be stopped; None: the pruner's share of the trial's, rounded up."""
    warmup_share: ClassVar[Fraction]
    """Of a trial's epochs, where ``warmup_epochs`` is not given."""

    def check(self, num_epochs: int) -> None:
        """Refuses a warm-up after which only the last epoch is left, where there is nothing to save."""
        if self.warmup_epochs is not None:
            _check_start("warmup_epochs", self.warmup_epochs, num_epochs)

    def is_warm(self, history: History, num_epochs: int) -> bool:
        """Whether a trial of so many epochs has had those of the warm-up, and one more to be judged by."""
        share = math.ceil(self.warmup_share * num_epochs)
        return len(history) > (share if self.warmup_epochs is None else self.warmup_epochs)


class MedianSettings(WarmupSettings):
    """Stops a trial whose best score so far is worse than the median of the others at the same epoch.

    From a third of its epochs on: earlier, the best trial of a study is mostly among the stopped (studies/README.md).
    """

    name: Literal["median"] = "median"
    warmup_share: ClassVar[Fraction] = Fraction(1, 3)

    def build(self, num_epochs: int) -> BasePruner:
        """Without a warm-up of Optuna's, which would be the same for trials of all lengths."""
        from optuna.pruners import MedianPruner

        return MedianPruner(n_startup_trials=self.startup_trials)

    def verdict(self, trial: Trial, history: History, others: Mapping[int, History], num_epochs: int) -> str | None:
        """The reason to stop, where Optuna's pruner would; None to go on."""
        if not self.is_warm(history, num_epochs) or not trial.should_prune():
            return None
        return f"below the median at epoch {history[-1].epoch}"


class HyperbandSettings(PrunerSettings):
    """Successive halving at several levels of boldness (Li et al. 2018, https://arxiv.org/abs/1603.06560)."""

    name: Literal["hyperband"] = "hyperband"
    min_epochs: Epochs = 1
    """Epochs of a trial before the first rung, which stands after the next one."""
    reduction: Annotated[Int, Field(ge=2, le=1000)] = 3
    """At each rung one trial of so many goes on."""

    def check(self, num_epochs: int) -> None:
        """Refuses trials that have no epoch after the first rung, where there is nothing to save."""
        _check_start("min_epochs", self.min_epochs, num_epochs)

    def build(self, num_epochs: int) -> BasePruner:
        """Rungs up to the last epoch, where Optuna counts steps from 0.

        Raises:
            UserError: no epoch would be left after the first rung.
        """
        from optuna.pruners import HyperbandPruner

        self.check(num_epochs)
        return HyperbandPruner(min_resource=self.min_epochs, max_resource=num_epochs, reduction_factor=self.reduction)

    def verdict(self, trial: Trial, history: History, others: Mapping[int, History], num_epochs: int) -> str | None:
        """The reason to stop, where Optuna's pruner would; None to go on."""
        return f"not among the best of its rung at epoch {history[-1].epoch}" if trial.should_prune() else None


class DominatedSettings(WarmupSettings):
    """Stops a trial when several finished ones were each at least as good in all, and better in something.

    All is every objective and every head's macro-F1. Optuna refuses to prune with several objectives; what it cannot
    rank, this leaves alone: a trial that is ahead in anything goes on, and so do all where an objective is known at the
    end only, as a calibration error. The best of each up to the epoch counts, so that one bad epoch ends no trial.
    Where ``warmup_epochs`` is not given it begins after a tenth of a trial's epochs: to ask for more that dominate
    saves more than a late start, at the same loss (studies/README.md).
    """

    name: Literal["dominated"] = "dominated"
    several_objectives: ClassVar[bool] = True
    needs_scores: ClassVar[bool] = False
    judges_gains: ClassVar[bool] = True
    warmup_share: ClassVar[Fraction] = Fraction(1, 10)
    beaten_by: Trials = 10
    """Finished trials that must each dominate a trial, by the same epoch, to stop it."""

    @property
    def rule(self) -> str:
        """In a line, for who starts a study."""
        who = "a finished one was" if self.beaten_by == 1 else f"{self.beaten_by} finished ones were each"
        what = "at least as good in every objective and head, and better in one, by the same epoch"
        return f"a trial is stopped when {who} {what}"

    def build(self, num_epochs: int) -> BasePruner:
        """Optuna's ``NopPruner``, since Optuna cannot prune with several objectives."""
        from optuna.pruners import NopPruner

        return NopPruner()

    def verdict(self, trial: Trial, history: History, others: Mapping[int, History], num_epochs: int) -> str | None:
        """The finished trials that leave this one nothing to be ahead in."""
        if not self.is_warm(history, num_epochs) or len(others) < self.startup_trials:
            return None
        own = _best(history)
        if own is None:
            return None
        epoch = history[-1].epoch
        bests = ((number, _best([row for row in rows if row.epoch <= epoch])) for number, rows in others.items())
        dominating = (number for number, best in bests if best is not None and _dominates(best, own))
        found = list(itertools.islice(dominating, self.beaten_by))
        if len(found) < self.beaten_by:
            return None
        names = ", ".join(map(str, found[:3])) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
        subject = f"trial {names} was" if len(found) == 1 else f"trials {names} were each"
        return f"{subject} at least as good in every objective and head by epoch {epoch}"


def _check_start(key: str, num_alone: int, num_epochs: int) -> None:
    if num_alone + 1 >= num_epochs:
        raise UserError(
            f"pruner.{key}: must leave an epoch before the last of training.epochs ({num_epochs}) to stop a trial "
            f"after, found {num_alone}"
        )


def best_by_head(history: Iterable[TrialEpoch]) -> np.ndarray:
    """(T,) each head's best macro-F1 over some epochs; an unknown score counts as 0."""
    rows = [[0.0 if score is None else score for score in row.tasks.values()] for row in history]
    best: np.ndarray = np.max(rows, axis=0)
    return best


def best_gains(history: Iterable[TrialEpoch]) -> tuple[float | None, ...]:
    """Each objective's greatest gain over some epochs, None where none has it; nothing where none were asked for."""
    columns = zip(*(row.gains or () for row in history), strict=True)
    return tuple(max((gain for gain in column if gain is not None), default=None) for column in columns)


def _best(history: History) -> np.ndarray | None:
    """Objectives' gains and heads' macro-F1, the best of each; None where an objective, or an epoch, is missing."""
    gains = best_gains(history)
    if not history or any(gain is None for gain in gains):
        return None
    return np.array([*gains, *best_by_head(history)])


def _dominates(theirs: np.ndarray, own: np.ndarray) -> bool:
    return len(theirs) == len(own) and bool((theirs >= own).all() and (theirs > own).any())
