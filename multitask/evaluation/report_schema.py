"""The report of a run, ``report.json``, as a tree of records.

Scores are between 0 and 1, and None where there was nothing to score. Every interval is of 95%, over resampled groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, Field

from multitask.data.empty_cells import EmptyCells
from multitask.data.image_facts import CropCounts, FirstFrames, FitCounts, ImageFacts
from multitask.evaluation.decode_scores import DecodeComparison, JointTermScores
from multitask.evaluation.grouped_schema import GroupedScores
from multitask.evaluation.networks_schema import EnsembleScores, FinalFacts, FoldScores, SoupFacts
from multitask.evaluation.prior_shift import LabelPrior
from multitask.evaluation.promise_schema import SelectiveScores, SetScores
from multitask.evaluation.scores import Attribution, LabellingScores, UnseenScores
from multitask.utils.records import ONLY_IF_KNOWN, Count, Moment, Number


@dataclass(frozen=True)
class ClassDistribution:
    """The counts of each class that can occur in a split.

    Attributes:
        num_images: of the split.
        num_groups: theirs.
        joint: a count for each class.
        tasks: per task, a count for each label.
    """

    num_images: Count
    num_groups: Count
    joint: tuple[Count, ...]
    tasks: dict[str, tuple[Count, ...]]


@dataclass(frozen=True, kw_only=True)
class TrainingFacts:
    """The training of the network, or in folds of the networks together.

    Attributes:
        num_folds: left out of the report of a run that is not in folds.
        best_epoch: that whose weights were kept, from 1; None where nothing validated, and in folds.
        num_epochs: that were trained.
        monitor: the score by which the best epoch was chosen.
        kept: by which rule weights were kept; left out where those who validate chose the best epoch.
        seconds: of training.
        seed: the config's.
        backbone: its timm name.
        sharing: how the tasks share it.
        num_parameters: of the network.
        device: on which it was trained.
    """

    num_folds: Count | None = field(default=None, metadata=ONLY_IF_KNOWN)
    best_epoch: Count | None
    num_epochs: Count
    monitor: str | None = None
    kept: str | None = field(default=None, metadata=ONLY_IF_KNOWN)
    seconds: Number
    seed: int | None = None
    backbone: str | None = None
    sharing: str | None = None
    num_parameters: Count | None = None
    device: str | None = None


def _named(settings: dict[str, object]) -> dict[str, object]:
    if not isinstance(settings.get("name"), str):
        raise ValueError("it has no name")
    return settings


DecodeFacts = Annotated[dict[str, object], AfterValidator(_named)]
"""The ``decode`` section as a report holds it: ``name``, and the rule's own settings, whatever rule it was."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The scores of predictions.

    Attributes:
        num_images: that were answered.
        num_groups: theirs.
        decode: the config's section.
        joint: scores of the decoded classes.
        tasks: per task, scores of its most probable label.
        attribution: what each task costs.
        unseen: None where no class was held out of training.
    """

    num_images: Count
    num_groups: Count
    decode: DecodeFacts
    joint: LabellingScores
    tasks: Annotated[dict[str, LabellingScores], Field(min_length=1)]
    attribution: Attribution
    unseen: UnseenScores | None = None


@dataclass(frozen=True, kw_only=True)
class _Heading:
    version: int = 1
    run: str
    split: str
    created: Moment


@dataclass(frozen=True, kw_only=True)
class RunReport(Summary, _Heading):
    """``report.json``: what a run's network answers on one split, and how it came about.

    Attributes:
        version: of the file.
        run: the run's name.
        split: ``val``, ``train``, ``test``, ``all`` or ``eval``.
        created: when the run began.
        decode_rules: None where nothing had to be decoded.
        joint_term: None where no joint term is learned.
        grouped: left out where no task is per group, or no group of the split has two images.
        sets: per task, and for ``joint``, prediction sets at some coverages; left out of reports from before they were
            measured, and where nothing is decoded.
        adaptive_sets: likewise, the sets ``aps`` of ``evaluation.conformity``, where ``sets`` are ``lac``.
        selective: the error among those that are answered, where the rest is asked of a human; likewise.
        label_prior: of ``test`` and ``eval``, how frequent labels are estimated to be without looking at them; left out
            of others, and where no groups validated by which it could be.
        folds: a row for each; left out of the report of a run that is not in folds.
        ensemble: of an ensemble of runs, on the groups that all of its members answered unseen; left out of others.
        soup: of a run whose weights are the mean of others'; left out of others.
        final: of a run that all groups trained, whose scores these are; left out of others.
        class_distribution: per split; None in reports from before it was recorded.
        empty_cells: likewise.
        training: how the network came about.
        crop: as of ``ImageFacts``.
        fit: likewise.
        first_frames: likewise.
    """

    decode_rules: DecodeComparison | None = None
    joint_term: JointTermScores | None = None
    grouped: GroupedScores | None = field(default=None, metadata=ONLY_IF_KNOWN)
    sets: dict[str, tuple[SetScores, ...]] | None = field(default=None, metadata=ONLY_IF_KNOWN)
    adaptive_sets: dict[str, tuple[SetScores, ...]] | None = field(default=None, metadata=ONLY_IF_KNOWN)
    selective: SelectiveScores | None = field(default=None, metadata=ONLY_IF_KNOWN)
    label_prior: LabelPrior | None = field(default=None, metadata=ONLY_IF_KNOWN)
    folds: tuple[FoldScores, ...] | None = field(default=None, metadata=ONLY_IF_KNOWN)
    ensemble: EnsembleScores | None = field(default=None, metadata=ONLY_IF_KNOWN)
    soup: SoupFacts | None = field(default=None, metadata=ONLY_IF_KNOWN)
    final: FinalFacts | None = field(default=None, metadata=ONLY_IF_KNOWN)
    class_distribution: dict[str, ClassDistribution] | None = None
    empty_cells: EmptyCells | None = None
    training: TrainingFacts
    crop: CropCounts | None = field(default=None, metadata=ONLY_IF_KNOWN)
    fit: FitCounts | None = field(default=None, metadata=ONLY_IF_KNOWN)
    first_frames: FirstFrames | None = field(default=None, metadata=ONLY_IF_KNOWN)

    def __post_init__(self) -> None:
        sizes = {name: len(scores.classes) for name, scores in self.tasks.items()}
        for split, counts in (self.class_distribution or {}).items():
            found = {name: len(row) for name, row in counts.tasks.items()}
            if found != sizes or len(counts.joint) != len(self.joint.classes):
                raise ValueError(f"class_distribution.{split} does not fit the classes")
        for row in self.folds or ():
            if row.tasks.keys() != sizes.keys():
                raise ValueError(f"folds: fold {row.fold} has other tasks")

    @property
    def origin(self) -> str | None:
        """A sentence on a run that was not trained and scored as others are; None: it was."""
        found = self.final or self.soup
        return None if found is None else f"{found.sentence}."

    @property
    def images(self) -> ImageFacts:
        """Facts on how the images are cropped and fitted."""
        return ImageFacts(crop=self.crop, fit=self.fit, first_frames=self.first_frames)

    @property
    def labellings(self) -> Mapping[str, LabellingScores]:
        """The scores of each task, and last ``joint``'s."""
        return {**self.tasks, "joint": self.joint}
