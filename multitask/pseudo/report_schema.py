"""The report of pseudo-labels, which lies beside their table."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from multitask.errors import UserError
from multitask.evaluation.prior_shift import PriorEstimate
from multitask.pseudo.thresholds import LabelThreshold
from multitask.utils.records import ONLY_IF_KNOWN, Count, Number, Score, read_record


@dataclass(frozen=True, kw_only=True)
class HeadReport:
    """What one head labelled.

    Attributes:
        task: the head's.
        pooled: whether of groups the pooled evidence was judged.
        labels: a row for each label, of images by themselves.
        group_labels: likewise, of images that were answered as members of their groups; empty where none was.
        prior: of the images, estimated; None where it is not identifiable.
        why_no_prior: why it is not; empty where it is.
        given: label -> how many images got it.
        sure: label -> of how many images the head was sure, before the share was limited to the prior.
    """

    task: str
    pooled: bool
    labels: tuple[LabelThreshold, ...]
    group_labels: tuple[LabelThreshold, ...]
    prior: PriorEstimate | None
    why_no_prior: str
    given: dict[str, Count]
    sure: dict[str, Count]

    @property
    def num_given(self) -> int:
        """How many images the head labelled."""
        return sum(self.given.values())


@dataclass(frozen=True, kw_only=True)
class PseudoReport:
    """``LABELS.json`` beside ``LABELS.csv``.

    Attributes:
        version: of the file.
        run: the name of the run that labelled.
        fold: whose network alone did; left out where all of the run's did.
        fingerprint: of its config, weights and decode rules.
        round: which it is, from 1.
        tasks: task -> its labels' names, the label space.
        given: the tasks of which an image has a label.
        columns: the table's columns of ``path``, ``weight`` and ``split``.
        root: the folder that the table's paths, and the table, are in.
        precision: that was asked for.
        certainty: of its lower bound.
        balance: ``prior`` or ``none``.
        weight: of an image in the loss.
        num_images: that were looked at.
        num_labelled: that got a label.
        num_own: that were left out as the run's own.
        num_of_own_groups: that were left out since others of their groups are.
        num_unreadable: that could not be read.
        heads: a row for each task.
        joint_prior: of the classes; None where it is not identifiable.
        why_no_joint_prior: why it is not; empty where it is.
    """

    version: int = 1
    run: str
    fingerprint: str
    round: Count
    tasks: dict[str, tuple[str, ...]]
    given: tuple[str, ...]
    columns: dict[str, str]
    root: str
    precision: Score
    certainty: Score
    balance: str
    weight: Number
    num_images: Count
    num_labelled: Count
    num_own: Count
    num_of_own_groups: Count = 0
    num_unreadable: Count
    heads: tuple[HeadReport, ...]
    joint_prior: PriorEstimate | None
    why_no_joint_prior: str
    fold: Count | None = field(default=None, metadata=ONLY_IF_KNOWN)


def report_path(table: Path) -> Path:
    """The report beside a table."""
    return table.with_suffix(".json")


def read_report(table: Path) -> PseudoReport:
    """The report beside a table of pseudo-labels.

    Raises:
        UserError: there is none, or it is damaged.
    """
    path = report_path(table)
    if not path.is_file():
        raise UserError(f"{path}: no such file; `multitask pseudo RUN --data ROOT -o {table}` writes it with the table")
    return read_record(path, PseudoReport)
