"""The table of a run's page with a row for the joint classes and one per task."""

from __future__ import annotations

from dataclasses import dataclass

from multitask.evaluation.report_schema import RunReport
from multitask.evaluation.scores import LabellingScores
from multitask.reporting.text import error_text
from multitask.utils.spelling import plural


@dataclass(frozen=True)
class ScoreRow:
    """The joint classes' row or a task's, with macro-F1's place on a scale that all rows have in common.

    Attributes:
        name: the task, or ``joint``.
        scores: its part of the report.
        perfect: the joint macro-F1 if this task alone were always answered right.
        lost: its share of what the joint macro-F1 lacks to 1.
        floor: macro-F1 at the scale's left end; at its right end it is 1.
        error: of the number that the answer amounts to, in words.
        bar: the interval's left end and its width, in percent of the scale.
        dot: macro-F1's place, in percent of the scale.
    """

    name: str
    scores: LabellingScores
    perfect: float | None
    lost: float | None
    floor: float
    error: str
    bar: tuple[float, float] | None
    dot: float | None


def score_rows(report: RunReport) -> list[ScoreRow]:
    """A row for the joint classes and one per task, with each interval's place on one common scale."""
    perfect, lost = report.attribution.perfect, report.attribution.lost or {}
    measured: list[tuple[str, LabellingScores, float | None, float | None]]
    measured = [("joint", report.joint, None, joint_lost(report) if lost else None)]
    measured += [(name, scores, perfect.get(name), lost.get(name)) for name, scores in report.tasks.items()]
    shown = [value for _, row, *_ in measured for value in (row.macro_f1, *(row.macro_f1_ci or ()))]
    floor = min(0.9, int(min((value for value in shown if value is not None), default=0.9) * 10) / 10)

    def percent(value: float) -> float:
        return round(100 * min(max(value - floor, 0) / (1 - floor), 1), 1)

    rows = []
    for name, scores, if_perfect, share in measured:
        bar = None
        if scores.macro_f1_ci is not None:
            low, high = map(percent, scores.macro_f1_ci)
            bar = (low, round(high - low, 1))
        dot = None if scores.macro_f1 is None else percent(scores.macro_f1)
        rows.append(ScoreRow(name, scores, if_perfect, share, floor, error_text(scores.number), bar, dot))
    return rows


def labelled_whole(joint: LabellingScores) -> str:
    """The images and groups that the classes' scores are of, in words, where others lack a label."""
    images, groups = plural(joint.num_images, "image", "images"), plural(joint.num_groups, "group", "groups")
    return f"{images} of {groups} that have all their labels"


def joint_lost(report: RunReport) -> float | None:
    """What the joint macro-F1 lacks to 1."""
    macro_f1 = report.joint.macro_f1
    return None if macro_f1 is None else 1 - macro_f1
