from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from multitask.evaluation.calibration import labellings
from multitask.evaluation.conformal import label_thresholds, prediction_sets
from multitask.evaluation.conformity import APS
from multitask.evaluation.decode_comparison import Decided, decide, decide_and_fit
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.promise_schema import SelectiveScores, SetScores
from multitask.evaluation.promise_scores import COVERAGES, RISKS, selective_scores, set_scores
from multitask.evaluation.selective import RiskCurve, answer_threshold
from multitask.labels import JOINT
from multitask.utils.records import from_data, to_data
from tests.evaluation.test_decode_comparison import SPACE, make, rule


def uneven(num_groups: int = 60, seed: int = 0) -> Predictions:
    """Answers to groups of different sizes."""
    predictions = make(num_groups * 4, seed, num_groups=num_groups)
    kept = np.flatnonzero(np.random.default_rng(1).random(len(predictions)) < 0.6)
    return predictions.take(kept)


def decided_on(predictions: Predictions) -> Decided:
    return decide_and_fit(predictions, rule("independent"), None, 3, 0)


def with_decided(sets: np.ndarray, decided: Decided, name: str) -> np.ndarray:
    """The sets that are predicted, which hold what is."""
    labels = dict(zip(SPACE.task_names, SPACE.decode(decided.predicted).T, strict=True)) | {JOINT: decided.predicted}
    sets[np.arange(len(sets)), labels[name]] = True
    return sets


def group_mean(values: np.ndarray, groups: np.ndarray) -> float:
    return float(np.mean([values[groups == group].mean() for group in np.unique(groups)]))


def test_sets_are_measured_on_groups_that_did_not_calibrate_them() -> None:
    predictions = uneven()
    decided = decided_on(predictions)
    found = set_scores(predictions, decided, 0)
    assert list(found) == ["size", "colour", JOINT]
    groups = predictions.group_indices()
    assert decided.folds is not None
    for name, part in labellings(decided.class_probs, predictions.labels, SPACE).items():
        right = part.probs[np.arange(len(groups)), part.labels]
        for row in found[name]:
            sets = np.empty(part.probs.shape, dtype=bool)
            for fold in np.unique(decided.folds):
                others, inside = decided.folds != fold, decided.folds == fold
                thresholds = label_thresholds(
                    right[others], part.labels[others], groups[others], part.possible, row.coverage
                )
                assert thresholds is not None
                sets[inside] = prediction_sets(part.probs[inside], thresholds)
            sets = with_decided(sets, decided, name)
            covered = sets[np.arange(len(groups)), part.labels]
            assert row.observed == pytest.approx(group_mean(covered, groups))
            assert row.mean_size == pytest.approx(group_mean(sets.sum(axis=1), groups))
            assert row.singles == pytest.approx(group_mean(sets.sum(axis=1) == 1, groups))
            assert row.observed_ci is not None
            assert row.observed_ci[0] < row.observed < row.observed_ci[1]
            assert abs(row.observed - row.coverage) < 0.08
    assert [row.coverage for row in found[JOINT]] == list(COVERAGES)
    assert [row.num_own for row in found["colour"]] == [2, 2, 2]
    assert found[JOINT][2].num_own < 6


def test_adaptive_sets_are_measured_likewise_and_of_older_runs_are_not() -> None:
    predictions = uneven()
    decided = decided_on(predictions)
    found, plain = set_scores(predictions, decided, 0, APS), set_scores(predictions, decided, 0)
    part = labellings(decided.class_probs, predictions.labels, SPACE)[JOINT]
    scores, groups = APS.of_images(part.probs), predictions.group_indices()
    sets = np.empty(scores.shape, dtype=bool)
    assert decided.folds is not None
    for fold in np.unique(decided.folds):
        others, inside = decided.folds != fold, decided.folds == fold
        right = scores[np.arange(len(groups)), part.labels][others]
        thresholds = label_thresholds(right, part.labels[others], groups[others], part.possible, 0.9)
        assert thresholds is not None
        sets[inside] = prediction_sets(scores[inside], thresholds)
    row, sets = found[JOINT][1], with_decided(sets, decided, JOINT)
    assert row.observed == pytest.approx(group_mean(sets[np.arange(len(groups)), part.labels], groups))
    assert row.mean_size == pytest.approx(group_mean(sets.sum(axis=1), groups))
    assert row.mean_size != plain[JOINT][1].mean_size
    calibration = decided.kept.calibration
    assert calibration is not None
    older = decided.kept.model_copy(update={"calibration": calibration.model_copy(update={"below": None})})
    other = uneven(seed=5)
    on_others = decide(other, older, 0)
    assert set_scores(other, on_others, 0, APS)[JOINT] == tuple(SetScores(coverage=each) for each in COVERAGES)
    assert set_scores(other, on_others, 0)[JOINT][0].observed is not None


def test_on_another_split_the_thresholds_are_those_that_the_run_keeps() -> None:
    kept = decided_on(uneven()).kept
    assert kept.calibration is not None
    predictions = uneven(seed=5)
    decided = decide(predictions, kept, 0)
    found = set_scores(predictions, decided, 0)
    part = labellings(decided.class_probs, predictions.labels, SPACE)["size"]
    thresholds = kept.calibration.thresholds("size", part.possible, 0.9)
    assert thresholds is not None
    sets = with_decided(prediction_sets(part.probs, thresholds), decided, "size")
    covered = sets[np.arange(len(predictions)), part.labels]
    assert found["size"][1].observed == pytest.approx(group_mean(covered, predictions.group_indices()))
    selective = selective_scores(predictions, decided, 0)
    assert selective is not None
    assert len(selective.at) == len(RISKS)
    bare = decide(predictions, kept.model_copy(update={"calibration": None}), 0)
    assert set_scores(predictions, bare, 0)["size"] == tuple(SetScores(coverage=each) for each in COVERAGES)
    unproven = selective_scores(predictions, bare, 0)
    assert unproven is not None
    assert (unproven.at, unproven.curves) == ((), selective.curves)


def test_sets_that_are_measured_hold_what_is_decided_as_those_that_are_predicted() -> None:
    decided = decided_on(uneven())
    wrong = replace(decided, predicted=(decided.predicted + 1) % SPACE.num_classes)
    for one in (wrong, replace(wrong, folds=None)):
        sizes = [row.mean_size for row in set_scores(uneven(), one, 0)[JOINT]]
        assert all(size is not None and size > 1 for size in sizes)
        less = set_scores(uneven(), replace(decided, folds=one.folds), 0)[JOINT]
        assert all(row.mean_size < size for row, size in zip(less, sizes, strict=True) if row.mean_size and size)


def test_too_few_groups_measure_nothing_but_are_said() -> None:
    predictions = make(40, num_groups=10)
    rows = set_scores(predictions, decided_on(predictions), 0)["colour"]
    assert [row.observed is None for row in rows] == [False, True, True]
    assert rows[2] == SetScores(coverage=0.95)
    assert rows[1].num_own == 2  # ten groups promise it, the eight of four folds do not


def test_labels_that_nobody_knows_are_left_out() -> None:
    predictions = make()
    labels = predictions.labels.copy()
    labels[:, 0] = -1
    unknown = replace(predictions, labels=labels)
    decided = decided_on(unknown)
    assert list(set_scores(unknown, decided, 0)) == ["colour"]
    scores = selective_scores(unknown, decided, 0)
    assert scores is not None
    assert (list(scores.curves), scores.at) == (["colour"], ())
    nobody = replace(predictions, labels=np.full_like(labels, -1))
    assert selective_scores(nobody, decided_on(nobody), 0) is None


def test_the_curve_and_the_answers_at_a_risk() -> None:
    predictions = make(1500, num_groups=500)
    decided = decided_on(predictions)
    found = selective_scores(predictions, decided, 0)
    assert found is not None
    groups, right = predictions.group_indices(), decided.predicted == predictions.classes
    confidences = decided.class_probs[np.arange(1500), decided.predicted]
    curve = RiskCurve.of(confidences, right, groups)
    joint = found.curves[JOINT]
    assert joint.aurc == pytest.approx(curve.area)
    assert joint.aurc_ci == curve.area_interval()
    assert joint.aurc_ci[0] < joint.aurc < joint.aurc_ci[1]
    assert joint.points[-1].error == pytest.approx(group_mean(~right, groups))
    assert joint.points[4].error < joint.points[-1].error / 2
    answered = np.zeros(1500, dtype=bool)
    assert decided.folds is not None
    for fold in np.unique(decided.folds):
        others = decided.folds != fold
        threshold = answer_threshold(confidences[others], right[others], groups[others], 0.2)
        assert threshold is not None
        answered |= ~others & (confidences >= threshold)
    row = found.at[3]
    assert row.max_risk == 0.2
    assert row.answered == pytest.approx(group_mean(answered, groups))
    assert row.error == pytest.approx(group_mean(~right[answered], groups[answered]))
    assert row.error is not None
    assert row.error < 0.2
    assert found.at[0].error is None
    colour = found.curves["colour"]
    assert colour.points[-1].error == pytest.approx(
        group_mean(SPACE.decode(decided.predicted)[:, 1] != predictions.labels[:, 1], groups)
    )


def test_they_are_read_as_they_were_written(tmp_path: Path) -> None:
    predictions = uneven()
    found = selective_scores(predictions, decided_on(predictions), 0)
    assert from_data(json.loads(json.dumps(to_data(found))), SelectiveScores) == found
