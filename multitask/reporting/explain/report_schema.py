"""The JSON of an audit of evidence, typed; a field is a key of the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from multitask.evaluation.evidence import HeadShare, Verdict
from multitask.utils.records import Count, Interval, Number, Score


@dataclass(frozen=True)
class HeadEvidence:
    """The evidence of one head, as ``HeadShare``, whose fields are None where it has none.

    Attributes:
        head: the task's name; ``joint`` for the class.
        label: the label that was decided in the images that are counted; None: all are.
        verdict: as of ``HeadShare``.
    """

    head: str
    label: str | None
    num_images: Count
    share: Score | None
    ci: Interval | None
    area: Score | None
    odds: Number | None
    odds_ci: tuple[Number, Number] | None
    verdict: Verdict | None

    @classmethod
    def of(cls, head: str, label: str | None, found: HeadShare | None) -> HeadEvidence:
        """The row of a head."""
        if found is None:
            return cls(head, label, 0, None, None, None, None, None, None)
        return cls(
            head, label, found.num_images, found.share, found.ci, found.area, found.odds, found.odds_ci, found.verdict
        )


@dataclass(frozen=True)
class EvidenceReport:
    """Where the evidence of a run's heads lies.

    Attributes:
        run: the run's name.
        split: whose images were explained.
        part: what counts as inside: each image's ``box``, the ``face`` that a detector finds, or one ``region`` of all.
        region: left, top, right and bottom of the region, as shares of what the network sees; None where it is none.
        num_images: explained.
        num_groups: their groups.
        num_without: further images that have no box, or none in what the network sees.
        cells: rows and columns of the maps before they were scaled up: how fine they are.
        heads: a row for each task and for ``joint``.
        labels: a row for each label of each task that was decided.
        sentences: the audit in words.
    """

    run: str
    split: str
    part: Literal["box", "face", "region"]
    region: tuple[Score, Score, Score, Score] | None
    num_images: Count
    num_groups: Count
    num_without: Count
    cells: tuple[Count, Count]
    heads: tuple[HeadEvidence, ...]
    labels: tuple[HeadEvidence, ...]
    sentences: tuple[str, ...]
    version: int = 1
