"""``report.json`` of a bake-off, typed; a field is a key of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from multitask.reporting.figures import IntervalGap
from multitask.settings import Changes
from multitask.utils.records import ONLY_IF_KNOWN, Count, Interval, Moment, Number, Score

Point = Annotated[int, Field(ge=1)] | Literal["all"]
"""How many groups train: so many, or all that may."""


@dataclass(frozen=True)
class JointDifference(IntervalGap):
    """A difference whose interval, of this level, holds for all comparisons of the bake-off together."""

    level: Score


@dataclass(frozen=True)
class ReferenceDifference(IntervalGap):
    """A difference to the reference, by itself and as one of all comparisons."""

    together: JointDifference


@dataclass(frozen=True)
class PassFigure:
    """A score, the mean of its passes, with its 95% interval."""

    value: Score
    ci: Interval
    passes: tuple[Score, ...]


@dataclass(frozen=True)
class ContenderRun:
    """One run of a contender.

    Attributes:
        seed: the run's.
        score: the deciding metric on the run's own groups; None where none of their images has such a label.
        joint: likewise the joint macro-F1.
        seconds: of training.
        train_groups: groups that it was trained on.
        train_images: their images.
    """

    seed: int
    score: Score | None
    joint: Score | None
    seconds: Number
    train_groups: Count
    train_images: Count


@dataclass(frozen=True)
class ScoredContender:
    """A contender at a point of the axis.

    Attributes:
        difference: to the reference; None: it is the reference.
        failure: None: none of its runs failed.
        epochs: that its runs were to be trained, each number once.
        metric: the score that decides.
        joint: the joint macro-F1.
        accuracy: the joint accuracy.
        tasks: each task's macro-F1.
        unseen: the macro-F1 of the classes that were held out of training; None where none were.
        class_f1: of every class that can occur, the mean of the passes.
        runs: in the order of the seeds.
        images_seen: training images of a run, the mean.
        seconds: of training of a run, the mean.
        train_images_per_s: the median of all epochs.
        num_parameters: of the network.
        cuda_peak_bytes: the most that CUDA had given out in any run; None without CUDA.
    """

    difference: ReferenceDifference | None
    failure: None
    epochs: tuple[Count, ...]
    metric: PassFigure
    joint: PassFigure | None
    accuracy: PassFigure | None
    tasks: dict[str, PassFigure | None]
    unseen: PassFigure | None
    class_f1: dict[str, Score | None]
    runs: Annotated[tuple[ContenderRun, ...], Field(min_length=1)]
    images_seen: Count
    seconds: Number
    train_images_per_s: Number | None
    num_parameters: Count | None
    cuda_peak_bytes: Count | None


@dataclass(frozen=True)
class FailedContender:
    """A contender of which a run failed, so that it has no scores at this point."""

    difference: None
    failure: str
    epochs: tuple[Count, ...]


@dataclass(frozen=True)
class AxisPoint:
    """All contenders with so many groups to train on.

    Attributes:
        point: so many.
        num_groups: groups that were answered for.
        num_images: their images.
        contenders: by name.
        matrix: per scored contender and other, the former's score less the latter's; None for itself.
    """

    point: Point
    num_groups: Count
    num_images: Count
    contenders: dict[str, ScoredContender | FailedContender]
    matrix: dict[str, dict[str, IntervalGap | None]]

    @property
    def scored(self) -> dict[str, ScoredContender]:
        """The contenders that have scores."""
        return {name: row for name, row in self.contenders.items() if isinstance(row, ScoredContender)}

    @property
    def failures(self) -> dict[str, str]:
        """Why the others have none."""
        return {name: row.failure for name, row in self.contenders.items() if isinstance(row, FailedContender)}


def groups_to_train(points: Sequence[AxisPoint], name: str) -> dict[Point, int]:
    """How many groups train at each point of an axis in a contender's runs; where folds differ, about.

    Those of other sources than the target train at every point, and count at none.
    """

    def trained(point: AxisPoint) -> float | None:
        row = point.scored.get(name)
        return None if row is None else sum(run.train_groups for run in row.runs) / len(row.runs)

    least = points[0]
    found: dict[Point, int] = {}
    others = (trained(least) or least.point) - least.point if least.point != "all" else 0
    for point in points:
        if point.point != "all":
            found[point.point] = point.point
        elif (num := trained(point)) is not None:
            found[point.point] = round(num - others)
    return found


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes that one training batch of ``batch_size`` images takes; ``total`` is the sum of the others."""

    parameters: Count
    gradients: Count
    optimizer: Count
    activations: Count
    total: Count
    batch_size: Count


@dataclass(frozen=True)
class TuningRun:
    """The tuned values that were tried, and the score of the deciding metric; None where there is none."""

    values: Changes
    score: Score | None


@dataclass(frozen=True)
class ContenderFacts:
    """A contender, with all that does not depend on the axis.

    Attributes:
        name: as the file calls it.
        config: the config that it changes.
        changes: those that are this contender's alone.
        tuned: the values that tuning chose.
        tuning: what was tried.
        answered_from: the contender whose networks answer for it, by another decode rule; None: it has its own.
        training_memory: of one batch.
        inference_images_per_s: with which the network answers.
    """

    name: str
    config: str
    changes: Changes
    tuned: Changes
    tuning: tuple[TuningRun, ...]
    answered_from: str | None
    training_memory: TrainingMemory
    inference_images_per_s: Number


@dataclass(frozen=True)
class Budget:
    """The budget of each run: so many images, or so many seconds by the contender's measured speed."""

    images: Count | None = field(default=None, metadata=ONLY_IF_KNOWN)
    seconds: Number | None = field(default=None, metadata=ONLY_IF_KNOWN)

    def __post_init__(self) -> None:
        if (self.images is None) == (self.seconds is None):
            raise ValueError("must hold either images or seconds")


@dataclass(frozen=True)
class BakeoffReport:
    """All that a bake-off found.

    Attributes:
        bakeoff: its name.
        created: when it began.
        base: the config that contenders change.
        metric: the score that decides.
        reference: the contender that all others are compared with.
        sentences: the comparisons in words.
        tasks: their names.
        seeds: of the runs of each contender.
        num_folds: into which the groups are dealt; None: each seed has a split of its own fraction.
        num_passes: how often each group is answered.
        budget: of a run; None: the config's epochs.
        axis: numbers of groups to train on; None: all train.
        tune: config key -> the values that were tried.
        contenders: in the file's order.
        points: of the axis, the last with most groups.
    """

    bakeoff: str
    created: Moment
    base: str
    metric: str
    reference: str
    sentences: tuple[str, ...]
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    num_folds: Count | None
    num_passes: Count
    budget: Budget | None
    axis: tuple[Point, ...] | None
    tune: dict[str, tuple[Any, ...]]
    contenders: tuple[ContenderFacts, ...]
    points: Annotated[tuple[AxisPoint, ...], Field(min_length=1)]
    version: int = 1

    def __post_init__(self) -> None:
        names = {row.name for row in self.contenders}
        for place, at in enumerate(self.points):
            scored = at.scored
            if at.contenders.keys() != names:
                raise ValueError(f"points.{place}: has other contenders")
            if self.reference not in scored:
                raise ValueError(f"points.{place}: the reference has no score")
            num = len(scored[self.reference].runs)
            if any(len(row.runs) != num or row.tasks.keys() != set(self.tasks) for row in scored.values()):
                raise ValueError(f"points.{place}: contenders do not have the same runs and tasks")
            if at.matrix.keys() != scored.keys() or any(row.keys() != scored.keys() for row in at.matrix.values()):
                raise ValueError(f"points.{place}: the matrix has other contenders")

    @property
    def last(self) -> AxisPoint:
        """The point with the most groups to train on, which the conclusions are of."""
        return self.points[-1]
