"""The times of ``multitask bench --to-score``, typed; a field is a key of its JSON file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from multitask.utils.records import Count, Number


@dataclass(frozen=True, kw_only=True)
class TimedEpoch:
    """An epoch of a run, after its validation.

    Attributes:
        epoch: from 1.
        processor_s: seconds of this process's processor time since the run began, all threads together.
        wall_s: seconds on the wall since then.
        score: of the groups that validate.
    """

    epoch: Count
    processor_s: Number
    wall_s: Number
    score: Number

    def seconds(self, by_wall: bool) -> float:
        """By the clock that counts."""
        return self.wall_s if by_wall else self.processor_s


@dataclass(frozen=True, kw_only=True)
class Reached:
    """When the recipe has the score that one epoch of the plain run has.

    Attributes:
        plain: that epoch.
        first: the recipe's first epoch with that score; None: it never has it.
        stays: its first epoch from which on every epoch has it, the last one too; None: the last one has it not.
        ratio: the seconds to ``first``, over those to ``plain``; None: it never has the score.
        stays_ratio: likewise of ``stays``.
    """

    plain: TimedEpoch
    first: TimedEpoch | None
    stays: TimedEpoch | None
    ratio: Number | None
    stays_ratio: Number | None


@dataclass(frozen=True, kw_only=True)
class SeedTimes:
    """Both runs of one seed.

    Attributes:
        seed: of both.
        num_groups: that validate in both.
        plain: its epochs.
        recipe: likewise.
        last: on the score of the plain run's last epoch.
        best: on that of its best epoch, the first of equals.
    """

    seed: Count
    num_groups: Count
    plain: tuple[TimedEpoch, ...]
    recipe: tuple[TimedEpoch, ...]
    last: Reached
    best: Reached


@dataclass(frozen=True, kw_only=True)
class OverSeeds:
    """Ratios of several seeds, a seed that never has the score counted as later than any other.

    Attributes:
        median: None: at least half of the seeds never have it.
        low: the least; None: none has it.
        high: the greatest; None: one never has it.
        num_reached: seeds that have it.
        is_reached: whether the median is at most what is wanted.
    """

    median: Number | None
    low: Number | None
    high: Number | None
    num_reached: Count
    is_reached: bool


@dataclass(frozen=True, kw_only=True)
class ToScoreReport:
    """The time that a recipe takes to a plain run's score.

    Attributes:
        plain: the config's file; None: the drawn images' own.
        recipe: likewise.
        metric: the score, as of ``metrics.jsonl``.
        clock: whose seconds the ratios are of.
        wanted: the ratio that is to be had.
        seeds: a pair of runs each.
        last: ratios to the score of the plain run's last epoch, first reached.
        last_stays: likewise, from where on it stays.
        best: ratios to the score of the plain run's best epoch, first reached.
        best_stays: likewise, from where on it stays.
    """

    plain: str | None
    recipe: str | None
    metric: str
    clock: Literal["processor", "wall"]
    wanted: Number
    seeds: tuple[SeedTimes, ...]
    last: OverSeeds
    last_stays: OverSeeds
    best: OverSeeds
    best_stays: OverSeeds
