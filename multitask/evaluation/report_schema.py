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
from multitask.utils.records import ONLY_IF_KNOWN, Count, Gap, GapInterval, Interval, Moment, Number, Score


@dataclass(frozen=True)
class ClassScores:
    """The scores of one class.

    Attributes:
        name: the class's.
        support: how many images are of it.
        precision: 0 where it was never predicted.
        recall: 0 where no image is of it.
        f1: 0 where neither.
    """

    name: str
    support: Count
    precision: Score
    recall: Score
    f1: Score


@dataclass(frozen=True)
class ReliabilityBin:
    """The predictions whose confidence lies in ``low`` to ``high``.

    Attributes:
        low: the bin's lower edge.
        high: its upper edge.
        count: how many predictions.
        confidence: their mean probability; None where there are none.
        accuracy: the share that is right; likewise.
    """

    low: Score
    high: Score
    count: Count
    confidence: Score | None
    accuracy: Score | None


@dataclass(frozen=True)
class SparseConfusion:
    """A confusion matrix of many classes.

    Attributes:
        num_classes: C.
        entries: ``(given, predicted, count)`` of every cell that is not 0, in order.
    """

    num_classes: Count
    entries: tuple[tuple[Count, Count, Count], ...]


Confusion = tuple[tuple[Count, ...], ...] | SparseConfusion
"""(C, C) counts, rows the given class, columns the predicted one; of many classes sparse."""


@dataclass(frozen=True)
class RegressionError:
    """How far the expected value is from the number behind a label.

    Attributes:
        num_images: whose number is known.
        mae: the mean absolute error, in the number's unit.
        mae_ci: its interval.
        bias: the mean error, in the number's unit; positive where predictions are too high.
    """

    num_images: Count
    mae: Number
    mae_ci: tuple[Number, Number]
    bias: Number


@dataclass(frozen=True, kw_only=True)
class LabellingScores:
    """The scores of one labelling: that by classes, or that of one task.

    Attributes:
        num_images: that have the label.
        num_groups: theirs.
        accuracy: share of images that are right.
        accuracy_ci: its interval.
        macro_f1: mean F1 of the classes that can occur.
        macro_f1_ci: its interval.
        ece: expected calibration error.
        ceiling: the most that macro-F1 can be, since classes without an image count as 0.
        absent_classes: names of those.
        classes: a row for each class that can occur.
        confusion: of these classes.
        reliability: bins of equal width.
        number: of a task whose labels are ranges of a number; left out where no number is known.
    """

    num_images: Count
    num_groups: Count
    accuracy: Score | None
    accuracy_ci: Interval | None
    macro_f1: Score | None
    macro_f1_ci: Interval | None
    ece: Score | None
    ceiling: Score | None = None
    absent_classes: tuple[str, ...]
    classes: Annotated[tuple[ClassScores, ...], Field(min_length=1)]
    confusion: Confusion
    reliability: tuple[ReliabilityBin, ...]
    number: RegressionError | None = field(default=None, metadata=ONLY_IF_KNOWN)

    def __post_init__(self) -> None:
        size, matrix = len(self.classes), self.confusion
        if isinstance(matrix, SparseConfusion):
            fits = matrix.num_classes == size and all(max(entry[:2]) < size for entry in matrix.entries)
        else:
            fits = len(matrix) == size and all(len(row) == size for row in matrix)
        if not fits:
            raise ValueError(f"confusion does not fit the {size} classes")


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """What each task costs of the joint macro-F1.

    Attributes:
        macro_f1: the joint one.
        perfect: per task, the joint macro-F1 if that task alone were always right.
        lost: per task, its Shapley share of what is lost; None where there are too many tasks.
        absent: what is lost to classes without an image.
    """

    macro_f1: Score | None = None
    perfect: dict[str, Score | None]
    lost: dict[str, Gap | None] | None
    absent: Gap | None


@dataclass(frozen=True)
class UnseenScores:
    """How the classes that were held out of training are answered, beside those that were not.

    Attributes:
        num_images: of the classes held out.
        num_groups: theirs.
        classes: a row for each class that was held out.
        macro_f1: over the classes held out; None where no image is of one.
        macro_f1_ci: its interval.
        seen_macro_f1: over the other classes, likewise.
        seen_macro_f1_ci: its interval.
    """

    num_images: Count
    num_groups: Count
    classes: Annotated[tuple[ClassScores, ...], Field(min_length=1)]
    macro_f1: Score | None
    macro_f1_ci: Interval | None
    seen_macro_f1: Score | None
    seen_macro_f1_ci: Interval | None


@dataclass(frozen=True, kw_only=True)
class RuleScores:
    """The joint macro-F1 by one decode rule.

    Attributes:
        name: the rule's.
        macro_f1: cross-fitted, where rules were fitted on these groups.
        macro_f1_ci: its interval.
        difference: less that of ``independent``; None for itself.
        difference_ci: its interval.
        beyond_noise: whether that excludes 0.
        in_sample: macro-F1 on the very groups of the fit; None where nothing was fitted here.
    """

    name: str
    macro_f1: Score | None
    macro_f1_ci: Interval | None
    difference: Gap | None
    difference_ci: GapInterval | None
    beyond_noise: bool | None = None
    in_sample: Score | None


@dataclass(frozen=True)
class FittedOn:
    """On how many groups, and images of theirs, rules were fitted."""

    num_groups: Count
    num_images: Count


@dataclass(frozen=True, kw_only=True)
class DecodeComparison:
    """The decode rules side by side.

    Attributes:
        used: the rule that answered.
        picked: the rule that ``auto`` picks; None where nothing could be compared.
        sentence: why.
        note: what else should be known; empty if nothing.
        cross_fitted: whether the rules were fitted on these groups, and are scored cross-fitted.
        num_folds: of the cross-fitting; 0: there was none.
        fitted_on: for those still to come.
        temperatures: per head, what its log-probabilities are divided by to be as sure as right.
        rules: a row for each.
    """

    used: str
    picked: str | None
    sentence: str
    note: str
    cross_fitted: bool
    num_folds: Count
    fitted_on: FittedOn
    temperatures: dict[str, Number]
    rules: tuple[RuleScores, ...]


@dataclass(frozen=True, kw_only=True)
class JointTermScores:
    """What a learned joint term buys: joint macro-F1 of the most probable class, without and with it.

    Attributes:
        heads_only: by the heads alone.
        heads_only_ci: its interval.
        with_term: with the joint term.
        with_term_ci: its interval.
        difference: ``with_term`` less ``heads_only``.
        difference_ci: its interval.
        beyond_noise: whether that excludes 0.
        sentence: whether the term is needed.
    """

    heads_only: Score | None
    heads_only_ci: Interval | None = None
    with_term: Score | None
    with_term_ci: Interval | None = None
    difference: Gap | None = None
    difference_ci: GapInterval | None = None
    beyond_noise: bool | None = None
    sentence: str


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


@dataclass(frozen=True)
class ClassDistribution:
    """How often each class that can occur does in a split.

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
    """How the network, or in folds the networks together, came about.

    Attributes:
        num_folds: left out of the report of a run that is not in folds.
        best_epoch: from 1; None where nothing validated, and in folds.
        num_epochs: that were trained.
        monitor: the score by which the best epoch was chosen.
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
        folds: a row for each; left out of the report of a run that is not in folds.
        class_distribution: per split; None in reports from before it was recorded.
        empty_cells: likewise.
        training: how the network came about.
        crop: as of ``ImageFacts``.
        fit: likewise.
        first_frames: likewise.
    """

    decode_rules: DecodeComparison | None = None
    joint_term: JointTermScores | None = None
    folds: tuple[FoldScores, ...] | None = field(default=None, metadata=ONLY_IF_KNOWN)
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
    def images(self) -> ImageFacts:
        """What the network sees of the images."""
        return ImageFacts(crop=self.crop, fit=self.fit, first_frames=self.first_frames)

    @property
    def labellings(self) -> Mapping[str, LabellingScores]:
        """The scores of each task, and last ``joint``'s."""
        return {**self.tasks, "joint": self.joint}


@dataclass(frozen=True)
class ScoreOverview:
    """What a list of runs shows of a labelling."""

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
