"""The scores of promises in a report: coverage and size of prediction sets, and the error among the answered.

Every group counts once, whatever its number of images. Every interval is of 95%, over resampled groups but
for the area under a curve.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from multitask.utils.records import ONLY_IF_KNOWN, Count, Interval, Number, Score


@dataclass(frozen=True, kw_only=True)
class SetScores:
    """The prediction sets of one promised coverage on groups that did not calibrate them.

    Attributes:
        coverage: that is promised.
        observed: the share of sets that hold the right label; None where too few groups calibrate.
        observed_ci: its interval.
        mean_size: how many labels a set holds; likewise None.
        mean_size_ci: its interval.
        singles: the share of sets of one label.
        num_own: labels with a threshold of their own, where all groups calibrate; the others share one.
    """

    coverage: Score
    observed: Score | None = None
    observed_ci: Interval | None = None
    mean_size: Number | None = None
    mean_size_ci: tuple[Number, Number] | None = None
    singles: Score | None = None
    num_own: Count = 0


@dataclass(frozen=True, kw_only=True)
class RiskPoint:
    """The error where a share is answered, the most confident first."""

    answered: Score
    error: Score


@dataclass(frozen=True, kw_only=True)
class RiskCurveScores:
    """Share answered against error.

    Attributes:
        aurc: the area under the curve: the mean error over all shares; the less the better.
        points: at rising shares, the last one all.
        aurc_ci: the interval of ``aurc``, by its standard error over groups; left out of reports from before it was
            measured, and of one group.
    """

    aurc: Score
    points: tuple[RiskPoint, ...]
    aurc_ci: Interval | None = field(default=None, metadata=ONLY_IF_KNOWN)


@dataclass(frozen=True, kw_only=True)
class AskScores:
    """The answers at a named risk, by a threshold that other groups prove.

    Attributes:
        max_risk: that is named.
        answered: the share of images that is answered.
        error: among these; None where nothing is.
        error_ci: its interval.
    """

    max_risk: Score
    answered: Score
    error: Score | None
    error_ci: Interval | None


@dataclass(frozen=True, kw_only=True)
class SelectiveScores:
    """Abstaining: the rest is asked of a human.

    Attributes:
        curves: per task, and for ``joint``, of the decided labels.
        at: of the class, at some risks; empty where nothing calibrates.
    """

    curves: dict[str, RiskCurveScores]
    at: tuple[AskScores, ...]
