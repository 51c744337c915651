from __future__ import annotations

import numpy as np
import pytest

from multitask.labels import MISSING, Task
from multitask.losses.training_labels import TrainingLabels, log_frequencies, training_labels


def test_centres_are_the_mean_numbers_of_each_label() -> None:
    labels = np.array([0, 0, 1, MISSING, 2])
    data = training_labels(Task("age", ("a", "b", "c")), labels, np.array([10.0, 20.0, 40.0, 50.0, np.nan]))
    np.testing.assert_array_equal(data.counts, [2, 1, 1])
    np.testing.assert_array_equal(data.centres, [15.0, 40.0, np.nan])


@pytest.mark.parametrize(
    ("edges", "centres", "expected"),
    [
        ((30.0, 60.0), [20.0, 40.0, 61.0], [20.0, 40.0, 61.0]),
        ((30.0, 60.0), [np.nan] * 3, [30.0, 45.0, 60.0]),
        ((30.0, 60.0, 70.0), [np.nan, 33.0, np.nan, 80.0], [30.0, 33.0, 65.0, 80.0]),
        ((30.0,), [np.nan, np.nan], [30.0, 30.0]),
    ],
)
def test_a_class_that_was_never_seen_has_the_middle_or_the_edge_of_its_range(
    edges: tuple[float, ...], centres: list[float], expected: list[float]
) -> None:
    task = Task("age", tuple("abcd"[: len(centres)]), "binned", edges)
    data = TrainingLabels(task, np.ones(len(centres)), np.array(centres))
    assert data.class_values().tolist() == expected


def test_log_frequencies_have_a_floor() -> None:
    np.testing.assert_allclose(np.exp(log_frequencies(np.array([3.0, 0.0]))), [6 / 7, 1 / 7])
    np.testing.assert_allclose(np.exp(log_frequencies(np.zeros(4))), 0.25)
