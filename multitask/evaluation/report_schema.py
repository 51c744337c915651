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
from multitask.evaluation.prior_shift import LabelPrior
from multitask.evaluation.promise_schema import SelectiveScores, SetScores
from multitask.evaluation.scores import Attribution, LabellingScores, UnseenScores
from multitask.utils.records import ONLY_IF_KNOWN, Count, Gap, GapInterval, Moment, Number, Score


@dataclass(frozen=True, kw_only=True)
class GroupedLabelling:
    """One labelling answered for groups, beside the answers image by image.

    Attributes:
        scores: with the groups' evidence pooled.
        macro_f1_difference: less that image by image; of the same images.
        macro_f1_difference_ci: its interval.
        accuracy_difference: likewise.
        accuracy_difference_ci: its interval.
    """

    scores: LabellingScores
    macro_f1_difference: Gap | None = None
    macro_f1_difference_ci: GapInterval | None = None
    accuracy_difference: Gap | None = None
    accuracy_difference_ci: GapInterval | None = None


@dataclass(frozen=True, kw_only=True)
class GroupedScores:
    """How the tasks per group are answered for groups, by the evidence of all their images.

    Attributes:
        per_group: the tasks per group.
        declared: those of them that the config declares; the others were found.
        num_groups: of two images or more.
        pooling: its name.
        sentence: why this one.
        decode: the rule that decided, fitted after pooling.
        cross_fitted: whether pooling and rule were fitted on these groups, each group answered by others' fit.
        joint: scores of the decoded classes.
        tasks: per task, those of its most probable label.
    """

    per_group: Annotated[tuple[str, ...], Field(min_length=1)]
    declared: tuple[str, ...]
    num_groups: Count
    pooling: str
    sentence: str
    decode: str
    cross_fitted: bool
    joint: GroupedLabelling
    tasks: Annotated[dict[str, GroupedLabelling], Field(min_length=1)]

    @property
    def labellings(self) -> Mapping[str, GroupedLabelling]:
        """The scores of each task, and last ``joint``'s."""
        return {**self.tasks, "joint": self.joint}


@dataclass(frozen=True, kw_only=True)
class FoldScores:
    """One fold's scores on its own groups.

    Attributes:
        fold: its number, from 0.
        num_groups: that validate in it.
        num_images: theirs.
        macro_f1: joint.
        tasks: per task, its macro-F1.
        best_epoch: of its run.
        num_epochs: of its run.
    """

    fold: Count
    num_groups: Count
    num_images: Count
    macro_f1: Score | None
    tasks: dict[str, Score | None]
    best_epoch: Count | None
    num_epochs: Count


@dataclass(frozen=True, kw_only=True)
class MemberScores:
    """One member of an ensemble beside the whole, on the same images.

    Attributes:
        name: its run's.
        weights: per output of the ensemble, its weight; with votes for labels all are equal.
        log_loss: per output, and for ``joint``, its own.
        macro_f1: joint, of its own decoded classes.
        macro_f1_difference: the ensemble's less it.
        macro_f1_difference_ci: its interval.
        log_loss_difference: of the classes, likewise; None where no image has all its labels.
        log_loss_difference_ci: its interval.
    """

    name: str
    weights: dict[str, Score]
    log_loss: dict[str, Number | None]
    macro_f1: Score | None
    macro_f1_difference: Gap | None = None
    macro_f1_difference_ci: GapInterval | None = None
    log_loss_difference: Number | None = None
    log_loss_difference_ci: tuple[Number, Number] | None = None


@dataclass(frozen=True, kw_only=True)
class EnsembleScores:
    """How the members of an ensemble are mixed, and whether that is ahead of them.

    The mixture's scores are cross-fitted: the weights that answer a group were fitted on others.

    Attributes:
        vote: ``soft``: a pool of probabilities; ``hard``: a vote for labels.
        weighting: of a pool: ``fitted`` by log-loss, or ``equal``.
        log_loss: per output, and for ``joint``, the mixture's.
        equal_log_loss: likewise, with equal weights.
        best: the member of the highest joint macro-F1.
        members: a row for each.
    """

    vote: str
    weighting: str
    log_loss: dict[str, Number | None]
    equal_log_loss: dict[str, Number | None]
    best: str
    members: Annotated[tuple[MemberScores, ...], Field(min_length=2)]

    @property
    def best_member(self) -> MemberScores:
        """The row of ``best``."""
        return next(row for row in self.members if row.name == self.best)

    @property
    def sentence(self) -> str:
        """Whether the ensemble is ahead of its best member beyond noise."""
        row = self.best_member
        if row.macro_f1_difference is None or row.macro_f1_difference_ci is None:
            return "Whether the ensemble is ahead of its members is unknown: no image has all its labels"
        (low, high), loss = row.macro_f1_difference_ci, ""
        if row.log_loss_difference is not None and row.log_loss_difference_ci is not None:
            bounds = "{:+.3f} to {:+.3f}".format(*row.log_loss_difference_ci)
            loss = f", log-loss {row.log_loss_difference:+.3f}, 95% {bounds}"
        verdict = "is ahead of" if low > 0 else "is behind" if high < 0 else "is not shown to be ahead of"
        return (
            f"The ensemble {verdict} its best member, {row.name}: joint macro-F1 {row.macro_f1_difference:+.3f}, "
            f"95% {low:+.3f} to {high:+.3f}{loss}"
        )


@dataclass(frozen=True, kw_only=True)
class SoupFacts:
    """``soup.json``: of which runs' weights a run's are the mean.

    Attributes:
        rule: ``greedy`` or ``uniform``.
        batch_norm: whether running statistics are the ``average`` or an ``estimate``; None: there are none.
        members: the runs that were named.
        kept: those that are in it.
        losses: of a greedy soup, per run the log-loss of the soup in which it was tried; None of others.
        num_epochs: of those that are in it, together.
        seconds: of their training.
    """

    version: int = 1
    rule: str
    batch_norm: str | None
    members: Annotated[tuple[str, ...], Field(min_length=2)]
    kept: Annotated[tuple[str, ...], Field(min_length=1)]
    losses: dict[str, Number] | None
    num_epochs: Count
    seconds: Number

    @property
    def sentence(self) -> str:
        """Whose weights these are, and what that means for the scores."""
        which = f"{len(self.kept)} of {len(self.members)} runs: {', '.join(self.kept)}"
        if self.rule == "uniform":
            return f"The weights are the mean of {which}"
        return (
            f"The weights are the mean of {which}; they were picked by the log-loss of the images that are scored "
            "here, which flatters"
        )


@dataclass(frozen=True, kw_only=True)
class FinalFacts:
    """Why the scores in a report are not those of its run: all groups trained it.

    Attributes:
        folds_run: the run in folds whose scores they are.
        kept_epochs: the epoch that each of its folds kept.
        num_epochs: of the run itself: their median.
    """

    folds_run: str
    kept_epochs: Annotated[tuple[Count, ...], Field(min_length=1)]
    num_epochs: Count

    @property
    def sentence(self) -> str:
        """Whose scores these are."""
        kept = ", ".join(map(str, self.kept_epochs))
        epochs = "1 epoch" if self.num_epochs == 1 else f"{self.num_epochs} epochs"
        return (
            f"All groups trained this run, so it has no scores of its own: these are the out-of-fold ones of "
            f"{self.folds_run}, from which it has its {epochs} (the median of {kept}), decode rule, "
            "temperatures and prediction sets"
        )


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
