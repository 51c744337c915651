"""The comparison of a bake-off's runs: scores with intervals, paired differences, and a sentence for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from multitask.bakeoff.conclusions import axis_sentence, comparison_sentence, family_sentence
from multitask.bakeoff.runs import BakeoffRun
from multitask.bakeoff.settings import BakeoffSettings, Point
from multitask.errors import UserError
from multitask.evaluation.intervals import LEVEL
from multitask.evaluation.metrics import Scores
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.repeated_runs import Gap, PassScore, aligned, gap, score_passes
from multitask.evaluation.report_schema import ClassDistribution, RunReport
from multitask.labels import MISSING
from multitask.reporting.bakeoff.report_schema import (
    AxisPoint,
    ContenderRun,
    FailedContender,
    JointDifference,
    PassFigure,
    ReferenceDifference,
    ScoredContender,
    groups_to_train,
)
from multitask.reporting.figures import IntervalGap
from multitask.training.history import lookup


def passes_of(runs: Sequence[BakeoffRun], settings: BakeoffSettings) -> list[Predictions]:
    """A contender's answers at one point, a pass each: all folds of one round, or one seed's on the held-out groups.

    Args:
        runs: in the order of their index.
        settings: the bake-off's.
    """
    size = len(runs) // settings.num_passes
    return [
        Predictions.concatenate([one.predictions() for one in runs[start : start + size]])
        for start in range(0, len(runs), size)
    ]


def compared(settings: BakeoffSettings, point: Point, runs: Mapping[str, Sequence[BakeoffRun]]) -> AxisPoint:
    """Everything that the report says of one point of the axis.

    Args:
        settings: the bake-off's.
        point: of the axis.
        runs: per contender, in the order of their index.

    Raises:
        UserError: the reference has no score; or files are gone or damaged.
    """
    reference, metric = settings.compared_with, settings.metric
    failures = {name: next((text for one in own if (text := one.failure())), None) for name, own in runs.items()}
    if failures[reference] is not None:
        raise UserError(
            f"contenders.{reference}: the reference failed, so nothing can be compared: {failures[reference]}"
        )
    names = [name for name in runs if failures[name] is None]
    passes = dict(zip(names, aligned(names, [passes_of(runs[name], settings) for name in names]), strict=True))
    decisive = {name: score_passes(passes[name], metric, settings.seed) for name in names}
    known = {name: score for name, score in decisive.items() if score is not None}
    if reference not in known:
        raise UserError(f"metric: {metric} cannot be had: no image that validates has such a label")
    # One interval of .95 for each comparison; and wider ones, which hold for all comparisons together (Bonferroni).
    together = 1 - (1 - LEVEL) / max(len(runs) - 1, 1)
    rows: dict[str, ScoredContender | FailedContender] = {}
    for name, own in runs.items():
        failure, difference = failures[name], None
        if failure is not None:
            rows[name] = FailedContender(None, failure, _epochs(own))
            continue
        if name != reference:
            alone, wider = (_gap(gap(known[name], known[reference], level)) for level in (LEVEL, together))
            difference = ReferenceDifference(**vars(alone), together=JointDifference(**vars(wider), level=together))
        rows[name] = _scored(own, passes[name], known[name], difference, settings)
    return AxisPoint(
        point=point,
        num_groups=known[reference].num_groups,
        num_images=known[reference].num_images,
        contenders=rows,
        matrix={
            name: {other: None if other == name else _gap(gap(known[name], known[other])) for other in known}
            for name in known
        },
    )


def _epochs(runs: Sequence[BakeoffRun]) -> tuple[int, ...]:
    return tuple(sorted({one.config.training.epochs for one in runs}))


def _gap(found: Gap) -> IntervalGap:
    return IntervalGap(found.value, found.low, found.high, found.beyond_noise)


def _figure(score: PassScore) -> PassFigure:
    return PassFigure(score.value, score.interval(), score.single)


def _scored(
    runs: Sequence[BakeoffRun],
    passes: Sequence[Predictions],
    decisive: PassScore,
    difference: ReferenceDifference | None,
    settings: BakeoffSettings,
) -> ScoredContender:
    space = passes[0].space
    reports = [one.folder.read_report() for one in runs]
    # The config says which classes were held out; the report of a run scores them on its own groups alone.
    unseen = [name for name, held in zip(space.class_names, runs[0].config.unseen(), strict=True) if held]
    histories = [one.folder.read_history() for one in runs]
    speeds = [row.images_per_s or 0.0 for history in histories for row in history]
    # Of an epoch's images, which a history does not count: what its seconds and its speed make.
    seen = [sum((row.images_per_s or 0.0) * (row.seconds or 0.0) for row in history) for history in histories]
    peaks = [peak for one in runs if (peak := one.peak_bytes()) is not None]

    def figure(metric: str, classes: Sequence[str] | None = None) -> PassFigure | None:
        score = score_passes(passes, metric, settings.seed, classes)
        return None if score is None else _figure(score)

    return ScoredContender(
        difference=difference,
        failure=None,
        epochs=_epochs(runs),
        metric=_figure(decisive),
        joint=figure("joint.macro_f1"),
        accuracy=figure("joint.accuracy"),
        tasks={task: figure(f"tasks.{task}.macro_f1") for task in space.task_names},
        unseen=figure("joint.macro_f1", unseen) if unseen else None,
        class_f1=_class_f1(passes),
        runs=tuple(
            ContenderRun(
                seed=one.config.seed,
                score=known_score(report, settings.metric),
                joint=report.joint.macro_f1,
                seconds=report.training.seconds,
                train_groups=train_size(report).num_groups,
                train_images=train_size(report).num_images,
            )
            for one, report in zip(runs, reports, strict=True)
        ),
        images_seen=round(float(np.mean(seen))),
        seconds=float(np.mean([report.training.seconds for report in reports])),
        train_images_per_s=float(np.median(speeds)),
        num_parameters=reports[0].training.num_parameters,
        cuda_peak_bytes=max(peaks, default=None),
    )


def train_size(report: RunReport) -> ClassDistribution:
    """The class distribution that a run trained on."""
    assert report.class_distribution is not None, report.run
    return report.class_distribution["train"]


def known_score(report: RunReport, metric: str) -> float | None:
    """A run's score; None where no image of its own has such a label."""
    try:
        return lookup(report, metric)
    except TypeError:  # it is None
        return None


def _class_f1(passes: Sequence[Predictions]) -> dict[str, float | None]:
    """The F1 of every class that can occur, the mean of the passes."""
    space = passes[0].space
    known = passes[0].classes != MISSING
    f1 = np.mean([Scores(one.classes[known], one.predicted[known], space.possible).f1 for one in passes], axis=0)
    return {name: float(f1[place]) for place, name in enumerate(space.class_names) if space.possible[place]}


def sentences(settings: BakeoffSettings, points: Sequence[AxisPoint]) -> list[str]:
    """One for each comparison, at the last point of the axis; and what the axis says of where a lead is lost."""
    reference, last = settings.compared_with, points[-1]
    others = [name for name in last.contenders if name != reference]
    found = []
    gaps = _differences(last)
    if settings.sentence_if_none is not None and not last.failures:
        found += family_sentence(settings.sentence_if_none, reference, gaps)
    for name, difference in gaps.items():
        found.append(comparison_sentence(name, reference, difference, settings.metric, len(others)))
    found += [f"{name} has no score: {failure}." for name, failure in last.failures.items()]
    if len(points) > 1:
        for name in others:
            sizes = groups_to_train(points, name)
            known = {sizes[row.point]: gaps[name] for row in points if name in (gaps := _differences(row))}
            if len(known) > 1:
                found.append(axis_sentence(name, reference, known))
    return found


def _differences(point: AxisPoint) -> dict[str, ReferenceDifference]:
    """By contender; of the reference and of those that failed there is none."""
    return {name: row.difference for name, row in point.scored.items() if row.difference is not None}
