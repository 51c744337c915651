"""The files of rounds of pseudo-labels: what they began with, and the rounds side by side."""

from __future__ import annotations

from dataclasses import dataclass, field

from multitask.evaluation.intervals import Difference
from multitask.utils.records import ONLY_IF_KNOWN, Count, Interval, Score


@dataclass(frozen=True, kw_only=True)
class RoundsBegun:
    """``rounds.json``.

    Attributes:
        run: the path of the run that labels first.
        fingerprint: of its config, weights and decode rules.
        images: a digest of the unlabelled images' paths and sizes.
        config: a digest of the config that is trained.
        settings: as of ``RoundsSettings``.
    """

    run: str
    fingerprint: str
    images: str
    config: str
    settings: dict[str, object]


@dataclass(frozen=True, kw_only=True)
class RoundReport:
    """One round.

    Attributes:
        number: from 1.
        precision: that a label had to have.
        num_images: that were looked at.
        num_labelled: that got a label.
        given: task -> how many of them got one.
        macro_f1: of the run that was trained on them, on the groups that validate.
        macro_f1_ci: its interval.
        tasks: task -> macro-F1 of that run; None: an older report.
        differences: its scores less those of the first run, on groups that neither trained on, but for ``caveat`` of
            the report; empty where there are none.
    """

    number: Count
    precision: Score
    num_images: Count
    num_labelled: Count
    given: dict[str, Count]
    macro_f1: Score | None
    macro_f1_ci: Interval | None
    tasks: dict[str, Score | None] | None = field(default=None, metadata=ONLY_IF_KNOWN)
    differences: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True)
class RoundsReport:
    """``report.json``.

    Attributes:
        version: of the file.
        run: the name of the first run.
        rounds: a row for each round that was trained.
        caveat: what the scores may owe to networks that were trained on the groups that validate; empty: nothing.
    """

    version: int = 1
    run: str
    rounds: tuple[RoundReport, ...]
    caveat: str = ""
