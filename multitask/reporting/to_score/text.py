"""Time to a score in words."""

from __future__ import annotations

from multitask.reporting.to_score.report_schema import OverSeeds, SeedTimes, TimedEpoch, ToScoreReport
from multitask.utils.spelling import plural

NEVER = "never"


def number_text(value: float | None) -> str:
    """A score or a ratio, which may be 1 or more: ``.442``; None: a ratio to what is never reached."""
    if value is None:
        return NEVER
    return f"{value:.3f}".removeprefix("0")


def at_text(row: TimedEpoch | None, by_wall: bool) -> str:
    """``3 (81 s)``: an epoch, and what it took to its end."""
    if row is None:
        return NEVER
    seconds = row.seconds(by_wall)
    return f"{row.epoch} ({seconds:.1f} s)" if seconds < 10 else f"{row.epoch} ({seconds:,.0f} s)"


def seed_text(row: SeedTimes, by_wall: bool) -> str:
    """What one seed found of the score of the plain run's last epoch, in a line."""
    found = row.last
    mark = f"seed {row.seed}: {number_text(found.plain.score)} after epoch {at_text(found.plain, by_wall)}"
    if found.first is None:
        return f"{mark}; the recipe never has it in {plural(len(row.recipe), 'epoch', 'epochs')}"
    ratio = number_text(found.ratio)
    stays = "not after its last" if found.stays is None else f"for good from epoch {at_text(found.stays, by_wall)} on"
    return f"{mark}; the recipe has it after epoch {at_text(found.first, by_wall)}, {ratio} of that time, and {stays}"


def summary_rows(report: ToScoreReport) -> list[tuple[str, OverSeeds]]:
    """What was asked, and the ratios that answer it."""
    return [
        ("last epoch, first", report.last),
        ("last epoch, for good", report.last_stays),
        ("best epoch, first", report.best),
        ("best epoch, for good", report.best_stays),
    ]


def range_text(found: OverSeeds) -> str:
    """``.25 to .31``, over the seeds."""
    return NEVER if found.low is None else f"{number_text(found.low)} to {number_text(found.high)}"
