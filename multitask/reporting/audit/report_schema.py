"""``audit.json`` and ``applied/report.json`` of an audit, typed; a field is a key of the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from multitask.evaluation.intervals import Difference
from multitask.evaluation.suspects import Audit, Suspect
from multitask.reporting.audit.text import audit_sentences
from multitask.reporting.figures import IntervalScore
from multitask.utils.records import Count, Number, Score


@dataclass(frozen=True)
class HeadRow:
    """The counts of one head, as of ``HeadAudit``, and its pooling."""

    head: str
    unit: Literal["group", "image"]
    num_units: Count
    num_suspects: Count
    num_listed: Count
    num_sure: Count
    accuracy: Score | None
    commonest: Score | None
    beats_commonest: bool
    temperature: Number
    correlation: Number | None
    noise: Number


@dataclass(frozen=True)
class AuditReport:
    """The findings of an audit.

    Attributes:
        run: the run's name.
        constant: the tasks that were judged group by group.
        nearly_constant: tasks that are constant in most groups but not in all: the share in which they are.
        heads: a row for each task and for ``joint``.
        num_suspects: how many are listed.
        num_shown: how many of them are on the page.
        num_sure: how many of them are more probably wrong than right.
        sentences: the audit in words.
        suspects: the most suspect first.
    """

    run: str
    constant: tuple[str, ...]
    nearly_constant: dict[str, Score]
    heads: tuple[HeadRow, ...]
    num_suspects: Count
    num_shown: Count
    num_sure: Count
    sentences: tuple[str, ...]
    suspects: tuple[Suspect, ...]
    version: int = 1

    @classmethod
    def of(cls, run: str, audit: Audit, num_shown: int) -> AuditReport:
        """The report of an audit of which so many suspects are on the page."""
        return cls(
            run=run,
            constant=audit.constant,
            nearly_constant=audit.nearly,
            heads=tuple(
                HeadRow(
                    head=row.head,
                    unit=row.unit,
                    num_units=row.num_units,
                    num_suspects=row.num_suspects,
                    num_listed=row.num_listed,
                    num_sure=row.num_sure,
                    accuracy=row.accuracy,
                    commonest=row.commonest,
                    beats_commonest=row.beats_commonest,
                    temperature=row.pooling.temperature,
                    correlation=row.pooling.correlation,
                    noise=row.pooling.noise,
                )
                for row in audit.heads
            ),
            num_suspects=len(audit.suspects),
            num_shown=num_shown,
            num_sure=audit.num_sure,
            sentences=tuple(audit_sentences(audit)),
            suspects=audit.suspects,
        )


@dataclass(frozen=True)
class BeforeAfter:
    """A score of the run, and of the one that was trained on corrected labels."""

    before: IntervalScore
    after: IntervalScore


@dataclass(frozen=True)
class LabellingReport:
    """Both runs scored by the same labels, on the images that both answered.

    Attributes:
        num_images: images scored.
        num_groups: their groups.
        scores: by metric.
        differences: after less before, paired by group, for each metric and the joint accuracy.
    """

    num_images: Count
    num_groups: Count
    scores: dict[str, BeforeAfter]
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class CorrectionsReport:
    """The scores before and after corrections.

    Attributes:
        run: the run's name.
        corrections: the file that was applied.
        num_changed: per task, how many images got another label, and as ``drop`` how many were dropped.
        corrected: both runs scored by the corrected labels.
        given: by the labels as they were.
    """

    run: str
    corrections: str
    num_changed: dict[str, Count]
    corrected: LabellingReport
    given: LabellingReport
    version: int = 1
