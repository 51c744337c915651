from __future__ import annotations

import numpy as np
import pytest

from multitask.evaluation.intervals import interval, resample, resample_mean
from multitask.evaluation.regression_error import regression_error

CENTRES = np.array([20.0, 45.0, 65.0])


def test_by_hand() -> None:
    probs = np.array([[0.5, 0.5, 0.0], [0.0, 0.2, 0.8], [1.0, 0.0, 0.0]])
    found = regression_error(probs, CENTRES, np.array([30.0, 70.0, np.nan]), np.array([3, 5, 7]), 0)
    assert found is not None
    assert found.num_images == 2
    assert found.mae == pytest.approx((2.5 + 9) / 2)  # 32.5 for 30, 61 for 70
    assert found.bias == pytest.approx((2.5 - 9) / 2)
    low, high = found.mae_ci
    assert (low, high) == (pytest.approx(2.5), pytest.approx(9))


def test_where_no_number_is_known_there_is_nothing_to_say() -> None:
    assert regression_error(np.full((2, 3), 1 / 3), CENTRES, np.full(2, np.nan), np.array([0, 1]), 0) is None


def test_interval_is_over_groups_and_not_over_images() -> None:
    rng = np.random.default_rng(0)
    of_each = rng.normal(size=40)
    groups = np.repeat(np.arange(40), 25)
    low, high = interval(resample_mean(of_each[groups], groups, 1))
    alone = interval(resample_mean(of_each, np.arange(40), 1))
    assert (low, high) == pytest.approx(alone)
    assert low < of_each.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * of_each.std() / 40**0.5, rel=0.1)


def test_draws_are_those_of_the_other_scores() -> None:
    rng = np.random.default_rng(0)
    given, predicted, groups = rng.integers(0, 3, 60), rng.integers(0, 3, 60), np.arange(60) // 4
    accuracy = resample(given, predicted, groups, np.ones(3, dtype=bool), 5).accuracy
    np.testing.assert_allclose(resample_mean((given == predicted).astype(float), groups, 5), accuracy)
