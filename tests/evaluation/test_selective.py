from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from multitask.evaluation import selective
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.evaluation.selective import GRID, RiskCurve, answer_threshold, group_errors, p_value

Made = tuple[FloatArray, NDArray[np.bool_], IntArray]


def made(num_groups: int, seed: int, images: int = 5) -> Made:
    """Confidences that are calibrated, of images whose difficulty is their group's."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(num_groups), images)
    margins = 1.5 + 1.5 * rng.normal(size=num_groups)[groups] + rng.normal(size=len(groups))
    confidences = 0.5 + 0.5 / (1 + np.exp(-margins))
    right = rng.random(num_groups)[groups] < confidences  # a group is right or wrong as one
    return confidences, right, groups


def test_the_risk_is_kept_for_new_groups_but_with_the_probability_that_is_told() -> None:
    everybody = made(20_000, 99)
    risks = {value: group_errors(*everybody, value).mean() for value in GRID}
    found = [answer_threshold(*made(300, seed), 0.1) for seed in range(80)]
    broken = [value for value in found if value is not None and risks[value] > 0.1]
    assert len(broken) <= 0.1 * 80
    assert sum(value is not None for value in found) > 40  # it answers something


def test_images_that_are_taken_for_independent_break_it() -> None:
    everybody = made(20_000, 99)
    risks = {value: group_errors(*everybody, value).mean() for value in GRID}
    found = []
    for seed in range(80):
        confidences, right, _ = made(40, seed, images=30)
        found.append(answer_threshold(confidences, right, np.arange(len(right)), 0.1))
    assert sum(value is not None and risks[value] > 0.1 for value in found) > 0.1 * 80


def test_the_tests_share_the_error_probability_and_go_on_only_where_one_was_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(selective, "STARTS", (0.95,))
    confidences = np.repeat([0.96, 0.75, 0.55], 200)
    right = np.ones(600, dtype=bool)
    right[200:300] = False  # wrong in the middle
    groups = np.arange(600)
    assert answer_threshold(confidences, right, groups, 0.1) == 0.8
    right[:200] = False
    assert answer_threshold(confidences, right, groups, 0.1) is None


@pytest.mark.parametrize(("mean", "num", "bound"), [(0.0, 30, 0.1), (0.03, 200, 0.1), (0.05, 60, 0.2)])
def test_the_p_value_is_at_least_that_of_the_binomial(mean: float, num: int, bound: float) -> None:
    draws = np.random.default_rng(0).binomial(num, bound, 200_000)
    exact = (draws <= round(num * mean)).mean()
    assert exact - 0.005 < p_value(mean, num, bound) <= np.e * exact + 0.005


def test_a_p_value_says_nothing_without_values_or_above_the_bound() -> None:
    assert p_value(0.0, 0, 0.1) == p_value(0.1, 50, 0.1) == p_value(0.5, 50, 0.1) == 1.0


def test_groups_weigh_the_same_in_the_curve() -> None:
    confidences = np.array([0.9, 0.85, 0.8, 0.7, 0.6])
    right = np.array([True, True, True, False, False])
    curve = RiskCurve.of(confidences, right, np.array([0, 0, 0, 0, 1]))
    assert curve.answered.tolist() == [0.125, 0.25, 0.375, 0.5, 1.0]
    assert curve.error.tolist() == [0, 0, 0, 0.25, 0.625]
    assert curve.at(np.array([0.1, 0.5, 1.0])).tolist() == [0, 0.25, 0.625]
    assert curve.area == pytest.approx(0.25 * 0.125 + 0.625 * 0.5)


def test_the_area_is_least_where_the_confident_are_right() -> None:
    right = np.arange(100) < 80
    best = RiskCurve.of(np.linspace(1, 0, 100), right, np.arange(100)).area
    worst = RiskCurve.of(np.linspace(0, 1, 100), right, np.arange(100)).area
    assert best < 0.03 < 0.2 < worst


def test_equal_confidences_are_answered_together_whatever_the_order_of_the_images() -> None:
    rng = np.random.default_rng(2)
    groups = rng.integers(0, 9, 40)
    confidences, right = np.round(rng.random(40), 1), rng.random(40) < 0.7
    weights = 1 / np.bincount(groups)[groups]
    share = weights / weights.sum()

    def area(grown: int, by: float) -> float:
        grow = share * np.where(groups == grown, 1 + by, 1)
        errors = [(grow * ~right)[confidences >= at].sum() / grow[confidences >= at].sum() for at in confidences]
        return float((grow * errors).sum() / grow.sum())

    influence = [(area(group, 1e-6) - area(group, -1e-6)) / 2e-6 for group in range(9)]
    for order in (np.arange(40), rng.permutation(40)):
        curve = RiskCurve.of(confidences[order], right[order], groups[order])
        assert curve.area == pytest.approx(area(0, 0.0))
        assert curve.area_error == pytest.approx(np.linalg.norm(influence), rel=1e-5)


def test_the_error_of_the_area_is_that_of_resampled_groups() -> None:
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 60, 300)
    confidences = 0.5 * rng.random(300) + 0.5 * rng.random(60)[groups]
    right = rng.random(300) < confidences
    curve = RiskCurve.of(confidences, right, groups)
    rows = [np.flatnonzero(groups == group) for group in range(60)]
    areas = []
    for _ in range(400):
        drawn = [rows[group] for group in rng.integers(0, 60, 60)]
        chosen, names = np.concatenate(drawn), np.repeat(np.arange(60), [len(each) for each in drawn])
        areas.append(RiskCurve.of(confidences[chosen], right[chosen], names).area)
    assert curve.area_error == pytest.approx(np.std(areas), rel=0.12)
    assert curve.area_interval() == pytest.approx(np.quantile(areas, [0.025, 0.975]), abs=0.02)
    one = RiskCurve.of(confidences[:5], right[:5], np.zeros(5, dtype=np.int64))
    assert np.isnan(one.area_error)
