"""Promises checked on groups that did not calibrate them: coverage and size of sets, errors among the answered."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multitask.evaluation.calibration import Calibration, Labelling, labellings
from multitask.evaluation.conformal import label_thresholds, prediction_sets
from multitask.evaluation.conformity import LAC, Conformity
from multitask.evaluation.decode_comparison import Decided
from multitask.evaluation.intervals import interval, resample_group_means
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.promise_schema import AskScores, RiskCurveScores, RiskPoint, SelectiveScores, SetScores
from multitask.evaluation.selective import RiskCurve, answer_threshold
from multitask.labels import JOINT, MISSING

COVERAGES = (0.8, 0.9, 0.95)
RISKS = (0.01, 0.05, 0.1, 0.2)
SHARES: FloatArray = np.arange(1, 21) / 20
"""Of the points of a curve."""


@dataclass(frozen=True, eq=False)
class _Images:
    """What is known of M images, as regards one labelling."""

    name: str
    labelling: Labelling
    decided: IntArray
    groups: IntArray
    folds: IntArray | None

    @property
    def confidences(self) -> FloatArray:
        found: FloatArray = self.labelling.probs[np.arange(len(self.decided)), self.decided]
        return found

    @property
    def right(self) -> NDArray[np.bool_]:
        return np.equal(self.decided, self.labelling.labels)

    def splits(self) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
        """The images of each fold's other folds, which calibrate, and its own."""
        assert self.folds is not None
        for fold in np.unique(self.folds):
            yield self.folds != fold, self.folds == fold


def set_scores(
    predictions: Predictions, decided: Decided, seed: int, conformity: Conformity = LAC
) -> dict[str, tuple[SetScores, ...]]:
    """The sets of each task, and of ``joint``, at some coverages.

    Where rules were fitted on these very groups, each group's thresholds are of the other folds'; else they are those
    that the run keeps.

    Args:
        predictions: N answers.
        decided: of them.
        seed: of the intervals.
        conformity: of labels, and not a randomised one.
    """
    calibration, found = decided.kept.calibration, {}
    if calibration is not None and not calibration.serves(conformity):
        calibration = None
    for images in _images(predictions, decided):
        scores = conformity.of_images(images.labelling.probs)
        sets = [_sets_at(images, scores, calibration, each, conformity) for each in COVERAGES]
        found[images.name] = _scored(images, sets, seed)
    return found


def selective_scores(predictions: Predictions, decided: Decided, seed: int) -> SelectiveScores | None:
    """Answering only what is confident; arguments, and what is proven on whom, as of ``set_scores``.

    Returns:
        None where no label is known.
    """
    found = _images(predictions, decided)
    curves = {}
    for images in found:
        curve = RiskCurve.of(images.confidences, images.right, images.groups)
        points = zip(SHARES.tolist(), curve.at(SHARES).tolist(), strict=True)
        curves[images.name] = RiskCurveScores(
            aurc=min(curve.area, 1.0),
            aurc_ci=None if math.isnan(curve.area_error) else curve.area_interval(),
            points=tuple(RiskPoint(answered=share, error=min(error, 1.0)) for share, error in points),
        )
    of_classes = [images for images in found if images.name == JOINT]
    calibration = decided.kept.calibration
    at = tuple(_ask_at(of_classes[0], calibration, risk, seed) for risk in RISKS) if of_classes and calibration else ()
    return SelectiveScores(curves=curves, at=at) if curves else None


def _images(predictions: Predictions, decided: Decided) -> list[_Images]:
    """The images of which the label is known, for each labelling of which any is."""
    space = predictions.space
    answers = dict(zip(space.task_names, space.decode(decided.predicted).T, strict=True)) | {JOINT: decided.predicted}
    groups = predictions.group_indices()
    found = []
    for name, labelling in labellings(decided.class_probs, predictions.labels, space).items():
        rows = np.flatnonzero(labelling.labels != MISSING)
        if len(rows):
            part = Labelling(labelling.probs[rows], labelling.labels[rows], labelling.possible)
            folds = None if decided.folds is None else decided.folds[rows]
            found.append(_Images(name, part, answers[name][rows], groups[rows], folds))
    return found


@dataclass(frozen=True, eq=False)
class _Sets:
    """The sets of one coverage: (M, C_t) bool, None where too few groups calibrate; labels with an own threshold."""

    coverage: float
    sets: NDArray[np.bool_] | None = None
    num_own: int = 0


def _sets_at(
    images: _Images, scores: FloatArray, calibration: Calibration | None, coverage: float, conformity: Conformity
) -> _Sets:
    """Each group's sets, by thresholds of others; ``scores`` is (M, C_t), the conformity of each label.

    What is decided is in every set, as in those that are predicted.
    """
    part = images.labelling
    if calibration is None:
        return _Sets(coverage)
    kept = calibration.thresholds(images.name, part.possible, coverage, conformity)
    if kept is None:
        return _Sets(coverage)
    num_own, sets = int(kept.own.sum()), np.empty(scores.shape, dtype=bool)
    if images.folds is None:
        sets = prediction_sets(scores, kept)
        sets[np.arange(len(sets)), images.decided] = True
        return _Sets(coverage, sets, num_own)
    right = scores[np.arange(len(scores)), part.labels]
    for others, inside in images.splits():
        found = label_thresholds(right[others], part.labels[others], images.groups[others], part.possible, coverage)
        if found is None:
            return _Sets(coverage, num_own=num_own)
        sets[inside] = prediction_sets(scores[inside], found)
    sets[np.arange(len(sets)), images.decided] = True
    return _Sets(coverage, sets, num_own)


def _scored(images: _Images, found: list[_Sets], seed: int) -> tuple[SetScores, ...]:
    """The scores of the sets of several coverages."""
    rows, columns = np.arange(len(images.groups)), []
    for one in found:
        if one.sets is not None:
            sizes = one.sets.sum(axis=1)
            columns += [one.sets[rows, images.labelling.labels], sizes, sizes == 1]
    values, intervals = _group_means(columns, images.groups, seed)
    scores, place = [], 0
    for one in found:
        if one.sets is None:
            scores.append(SetScores(coverage=one.coverage, num_own=one.num_own))
            continue
        scores.append(
            SetScores(
                coverage=one.coverage,
                observed=values[place],
                observed_ci=intervals[place],
                mean_size=values[place + 1],
                mean_size_ci=intervals[place + 1],
                singles=values[place + 2],
                num_own=one.num_own,
            )
        )
        place += 3
    return tuple(scores)


def _ask_at(images: _Images, calibration: Calibration, max_risk: float, seed: int) -> AskScores:
    answered = np.zeros(len(images.groups), dtype=bool)
    confidences, right = images.confidences, images.right
    if images.folds is None:
        threshold = calibration.answer_threshold(max_risk)
        answered |= threshold is not None and confidences >= threshold
    else:
        for others, inside in images.splits():
            threshold = answer_threshold(confidences[others], right[others], images.groups[others], max_risk)
            answered |= inside & (threshold is not None and confidences >= threshold)
    (share,), _ = _group_means([answered], images.groups, seed)
    if not answered.any():
        return AskScores(max_risk=max_risk, answered=share, error=None, error_ci=None)
    (error,), (error_ci,) = _group_means([~right[answered]], images.groups[answered], seed)
    return AskScores(max_risk=max_risk, answered=share, error=error, error_ci=error_ci)


def _group_means(
    columns: list[NDArray[Any]], groups: IntArray, seed: int
) -> tuple[list[float], list[tuple[float, float]]]:
    """The means over groups of the (M,) columns' means in them, and their intervals; not above 1 by rounding alone."""
    if not columns:
        return [], []
    of_group = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(of_group)
    means = np.stack([np.bincount(of_group, weights=column) / sizes for column in columns], axis=1)
    draws = np.round(resample_group_means(means, seed), 12)
    return np.round(means.mean(axis=0), 12).tolist(), [interval(column) for column in draws.T]
