from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from multitask.evaluation.metrics import (
    MATRIX_CLASSES,
    NUM_BINS,
    Scores,
    calibration_error,
    confusion_table,
    f1_scores,
    reliability,
)
from multitask.evaluation.scores import SparseConfusion


@st.composite
def answers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Given and predicted classes of a space in which some may be absent from both."""
    num_classes = draw(st.integers(2, 7))
    pairs = st.tuples(st.integers(0, num_classes - 1), st.integers(0, num_classes - 1))
    rows = np.array(draw(st.lists(pairs, min_size=1, max_size=40)))
    return rows[:, 0], rows[:, 1], num_classes


@given(answers())
@settings(deadline=None, max_examples=150)
def test_scores_are_those_of_scikit_learn(case: tuple[np.ndarray, np.ndarray, int]) -> None:
    truth, guess, num_classes = case
    labels = list(range(num_classes))
    scores = Scores(truth, guess, np.ones(num_classes, dtype=bool))
    precision, recall, f1, support = precision_recall_fscore_support(truth, guess, labels=labels, zero_division=0)
    assert scores.precision == pytest.approx(precision)
    assert scores.recall == pytest.approx(recall)
    assert scores.f1 == pytest.approx(f1)
    assert scores.support.tolist() == support.tolist()
    assert scores.macro_f1 == pytest.approx(float(f1.mean()))
    assert scores.accuracy == pytest.approx(accuracy_score(truth, guess))
    assert np.array_equal(confusion_table(truth, guess, num_classes), confusion_matrix(truth, guess, labels=labels))


def test_absent_declared_class_counts_as_0_and_an_impossible_one_not_at_all() -> None:
    truth = np.array([0, 0, 1])
    assert Scores(truth, truth, np.ones(4, dtype=bool)).macro_f1 == pytest.approx(2 / 4)
    assert Scores(truth, truth, np.array([True, True, True, False])).macro_f1 == pytest.approx(2 / 3)
    assert Scores(truth, truth, np.array([True, True, False, False])).macro_f1 == 1.0


def test_without_data_classes_score_0_and_the_whole_is_unknown() -> None:
    empty = np.empty(0, dtype=np.int64)
    scores = Scores(empty, empty, np.ones(3, dtype=bool))
    assert math.isnan(scores.macro_f1)
    assert math.isnan(scores.accuracy)
    assert scores.precision.tolist() == scores.recall.tolist() == [0.0] * 3


def test_f1_of_many_at_once() -> None:
    hits, given_, predicted = np.array([[2.0, 0], [1, 3]]), np.array([[4.0, 0], [1, 3]]), np.array([[2.0, 0], [2, 3]])
    assert f1_scores(hits, given_, predicted).tolist() == [[pytest.approx(4 / 6), 0.0], [pytest.approx(2 / 3), 1.0]]


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.95, 0.97, 0.55, 0.58, 1.0, 0.0])
    correct = np.array([True, False, True, True, True, False])
    rows = reliability(confidence, correct)
    # Fifteenths: .55 and .58 fall into [8/15, 9/15); .95, .97 and 1.0 into the last; 0.0 into the first.
    assert [row.count for row in rows] == [1, *[0] * 7, 2, *[0] * 5, 3]
    expected = (1 * 0.0 + 2 * (1 - 0.565) + 3 * abs((0.95 + 0.97 + 1.0) / 3 - 2 / 3)) / 6
    assert calibration_error(rows) == pytest.approx(expected)
    assert rows[8].confidence == pytest.approx(0.565)
    assert rows[8].accuracy == 1.0
    assert rows[3].confidence is None


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
@settings(deadline=None, max_examples=100)
def test_every_image_is_in_its_bin_and_the_error_is_a_share(pairs: list[tuple[float, bool]]) -> None:
    confidence = np.array([pair[0] for pair in pairs])
    rows = reliability(confidence, np.array([pair[1] for pair in pairs]))
    assert len(rows) == NUM_BINS
    assert sum(row.count for row in rows) == len(pairs)
    for row in rows:
        if row.count:
            assert row.low - 1e-9 <= row.confidence <= row.high + 1e-9
    assert 0 <= calibration_error(rows) <= 1


def test_calibrated_answers_have_no_error_and_no_answers_have_none() -> None:
    correct = np.array([True] * 8 + [False] * 2)
    assert calibration_error(reliability(np.full(10, 0.8), correct)) == pytest.approx(0.0)
    assert math.isnan(calibration_error(reliability(np.empty(0), np.empty(0, dtype=bool))))


@pytest.mark.parametrize("num_classes", [100, 300])
def test_labels_in_few_bytes_are_counted_alike(num_classes: int) -> None:
    given = np.arange(num_classes, dtype=np.int8 if num_classes < 128 else np.int16)
    guess = given[::-1].astype(np.int64)
    wide = confusion_table(given.astype(np.int64), guess, num_classes)
    assert confusion_table(given, guess, num_classes) == wide


def test_a_confusion_matrix_of_many_classes_is_its_entries() -> None:
    truth, guess = np.array([3, 9000, 3, 3, 7]), np.array([3, 2, 5, 5, 7])
    table = confusion_table(truth, guess, 10_000)
    assert table == SparseConfusion(10_000, ((3, 3, 1), (3, 5, 2), (7, 7, 1), (9000, 2, 1)))
    few = confusion_table(truth[:1], guess[:1], MATRIX_CLASSES)
    assert isinstance(few, tuple)
    assert np.shape(few) == (MATRIX_CLASSES, MATRIX_CLASSES)
