from __future__ import annotations

import numpy as np
import pytest

from multitask.evaluation import intervals
from multitask.evaluation.intervals import interval, resample
from multitask.evaluation.metrics import Scores

ALL = np.ones(4, dtype=bool)


def answers(num_groups: int, per_group: int = 5, right: float = 0.7, seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(num_groups), per_group)
    truth = rng.integers(0, 4, len(groups))
    # How well one group is answered differs from group to group.
    easy = rng.random(num_groups)[groups] < right
    guess = np.where(easy, truth, rng.integers(0, 4, len(groups)))
    return truth, guess, groups


def test_same_seed_gives_the_same_and_another_seed_another() -> None:
    case = answers(20)
    one, two, other = (resample(*case, ALL, seed) for seed in (1, 1, 2))
    assert (one.macro_f1 == two.macro_f1).all()
    assert (one.accuracy == two.accuracy).all()
    assert (one.macro_f1 != other.macro_f1).any()
    assert len(one.macro_f1) == len(one.accuracy) == intervals.NUM_RESAMPLES


@pytest.mark.parametrize("num_groups", [5, 30, 200])
def test_interval_contains_the_point_estimate(num_groups: int) -> None:
    truth, guess, groups = answers(num_groups)
    point = Scores(truth, guess, ALL)
    found = resample(truth, guess, groups, ALL, 0)
    low, high = interval(found.accuracy)
    assert low <= point.accuracy <= high
    low, high = interval(found.macro_f1)
    assert low <= point.macro_f1 <= high


def test_interval_shrinks_like_the_root_of_the_number_of_groups() -> None:
    def width(num_groups: int) -> float:
        low, high = interval(resample(*answers(num_groups), ALL, 0).accuracy)
        return high - low

    assert width(100) == pytest.approx(width(1600) * 4, rel=0.25)


def test_chunking_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    case = answers(23)
    whole = resample(*case, ALL, 3)
    for chunk in (1, 23 * 7, 23 * intervals.NUM_RESAMPLES - 1):
        monkeypatch.setattr(intervals, "_CHUNK", chunk)
        parts = resample(*case, ALL, 3)
        assert parts.macro_f1 == pytest.approx(whole.macro_f1, abs=1e-12)
        assert parts.accuracy == pytest.approx(whole.accuracy, abs=1e-12)


def test_images_of_one_group_are_drawn_together() -> None:
    truth, guess, groups = answers(20)
    one = resample(truth, guess, groups, ALL, 0)
    # Ten more copies of every group's images tell nothing new about groups.
    many = resample(np.tile(truth, 10), np.tile(guess, 10), np.tile(groups, 10), ALL, 0)
    assert many.macro_f1 == pytest.approx(one.macro_f1)
    assert many.accuracy == pytest.approx(one.accuracy)
    # Taken as groups of their own they would seem to.
    alone = resample(truth, guess, np.arange(len(truth)), ALL, 0)
    assert np.std(alone.accuracy) < 0.8 * np.std(one.accuracy)


def test_groups_that_are_all_alike_leave_nothing_to_chance() -> None:
    truth, guess = np.tile([0, 1, 2, 3, 3], 12), np.tile([0, 1, 2, 3, 0], 12)
    groups = np.repeat(np.arange(12), 5)
    found = resample(truth, guess, groups, ALL, 0)
    assert np.ptp(found.accuracy) == pytest.approx(0.0, abs=1e-12)
    assert interval(found.macro_f1) == pytest.approx([Scores(truth, guess, ALL).macro_f1] * 2)


def test_one_group_alone_has_an_interval_of_no_width() -> None:
    found = resample(np.array([0, 1, 2]), np.array([0, 1, 3]), np.zeros(3, dtype=np.int64), ALL, 0)
    assert interval(found.accuracy) == pytest.approx([2 / 3] * 2)


def test_absent_classes_lower_the_interval_as_they_lower_the_score() -> None:
    truth, guess, groups = answers(50, right=1.0)
    kept = truth < 2
    groups = np.unique(groups[kept], return_inverse=True)[1]
    found = resample(truth[kept], guess[kept], groups, ALL, 0)
    assert interval(found.macro_f1) == pytest.approx([0.5, 0.5])
    assert found.accuracy == pytest.approx(np.ones(len(found.accuracy)))


def test_class_of_one_group_does_not_drag_the_interval_below_the_score() -> None:
    truth, guess, groups = answers(40, right=1.0)
    truth, guess = truth % 3, guess % 3
    truth[groups == 0] = guess[groups == 0] = 3
    low, high = interval(resample(truth, guess, groups, ALL, 0).macro_f1)
    assert (low, high) == pytest.approx((1.0, 1.0))


def test_interval_is_the_middle_95_percent() -> None:
    assert interval(np.arange(1001.0)) == pytest.approx((25.0, 975.0))


@pytest.mark.parametrize(("level", "ends"), [(0.5, (250, 750)), (0.98, (10, 990)), (1.0, (0, 1000)), (0.0, (500, 500))])
def test_interval_of_another_level_is_the_middle_of_that_share(level: float, ends: tuple[int, int]) -> None:
    values = np.random.default_rng(0).permutation(np.arange(1001.0))
    assert interval(values, level) == pytest.approx(ends)


def test_a_resample_without_anybody_of_the_declared_classes_says_nothing_of_them() -> None:
    # Class 3 is one group's alone, which is answered right: whichever is drawn, its F1 is 1 or is not known.
    truth, groups = np.array([0, 1, 2, 3]), np.arange(4)
    only = np.arange(4) == 3
    found = resample(truth, truth, groups, only, 0).macro_f1
    assert 0.2 < np.isnan(found).mean() < 0.45  # (3 / 4)**4 = .32
    assert (found[~np.isnan(found)] == 1).all()
    assert interval(found) == (1, 1)
    assert interval(found - found) == (0, 0)
