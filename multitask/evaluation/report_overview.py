"""As much of a run as a list of runs shows."""

from __future__ import annotations

from dataclasses import dataclass, field

from multitask.utils.records import Interval, Score


@dataclass(frozen=True)
class ScoreOverview:
    """The scores of a labelling in a list of runs."""

    macro_f1: Score | None
    macro_f1_ci: Interval | None = None


@dataclass(frozen=True)
class ReportOverview:
    """As much of ``report.json`` as a list of runs shows."""

    joint: ScoreOverview
    tasks: dict[str, ScoreOverview]


@dataclass(frozen=True, kw_only=True)
class RunOverview:
    """A run in a line of a list.

    Attributes:
        name: below the list's folder.
        epochs: how many are done, and which was the best; or how many folds are done.
        macro_f1: joint; None where there is no report.
        macro_f1_ci: its interval.
        tasks: per task, its macro-F1.
        state: ``reported``, ``not reported``, ``failed``, or ``damaged`` with the reason.
    """

    name: str
    epochs: str
    macro_f1: float | None = None
    macro_f1_ci: tuple[float, float] | None = None
    tasks: dict[str, float | None] = field(default_factory=dict)
    state: str
