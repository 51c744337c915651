"""The scores of classes and of labellings, and what they lack, as a report holds them.

Scores are between 0 and 1, and None where there was nothing to score. Every interval is of 95%, over resampled groups.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from multitask.utils.records import ONLY_IF_KNOWN, Count, Gap, Interval, Number, Score


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
    """The error of the expected value against the number behind a label.

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
    """The joint macro-F1 that each task costs.

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
