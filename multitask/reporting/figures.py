"""Scores and differences with their intervals, as the reports of studies, bake-offs and audits hold them."""

from __future__ import annotations

from dataclasses import dataclass

from multitask.utils.records import Gap, Interval, Score


@dataclass(frozen=True)
class IntervalScore:
    """A score with its interval; None where there is none."""

    value: Score | None
    ci: Interval | None


@dataclass(frozen=True)
class IntervalGap:
    """A score less another's on the same images, with its interval; beyond noise where that leaves 0 out."""

    value: Gap
    low: Gap
    high: Gap
    beyond_noise: bool
