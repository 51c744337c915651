"""Thresholds keep the precision that is asked for on new images, and say so where none does."""

from __future__ import annotations

import numpy as np
import pytest

from multitask.evaluation.metrics import FloatArray
from multitask.evaluation.prior_shift import Answered
from multitask.evaluation.selective import p_value
from multitask.labels import MISSING
from multitask.pseudo.settings import PseudoSettings
from multitask.pseudo.thresholds import find_thresholds, lower_bound

NAMES = ("a", "b", "c")


def answered(num: int, seed: int, spread: float = 2.0, per_group: int = 5) -> Answered:
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=num)
    logits = spread * (spread * np.eye(3)[labels] + rng.normal(size=(num, 3)))
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    return Answered(probs / probs.sum(axis=1, keepdims=True), labels, np.arange(num) // per_group)


def precision(images: Answered, label: int, threshold: float) -> float:
    chosen = (images.probs.argmax(axis=1) == label) & (images.probs[:, label] >= threshold)
    return float((images.labels[chosen] == label).mean())


def test_thresholds_keep_the_precision_on_new_images() -> None:
    new, kept, found = answered(20_000, 999), 0, 0
    for seed in range(10):
        for label, row in enumerate(find_thresholds(answered(1500, seed), NAMES, PseudoSettings(), seed)):
            if row.threshold is not None:
                found += 1
                kept += precision(new, label, row.threshold) >= 0.95
                assert row.precision_low is not None
                assert row.precision is not None
                assert row.precision >= row.precision_low >= 0.95
                assert row.why == ""
    assert found >= 15
    assert kept >= 0.9 * found


def test_what_is_told_is_the_precision_of_groups_that_did_not_choose() -> None:
    new = answered(20_000, 999)
    told = []
    for seed in range(10):
        for label, row in enumerate(find_thresholds(answered(1500, seed), NAMES, PseudoSettings(), seed)):
            if row.threshold is not None and row.precision is not None:
                told.append(row.precision - precision(new, label, row.threshold))
    assert abs(float(np.mean(told))) < 0.01


def test_a_head_that_knows_nothing_labels_nothing_and_says_why() -> None:
    for row in find_thresholds(answered(600, 0, spread=0.1), NAMES, PseudoSettings(), 0):
        assert row.threshold is None
        assert "no probability proves a precision of 0.95" in row.why


def test_images_of_one_group_prove_no_more_than_one() -> None:
    many = answered(400, 0, spread=5.0, per_group=1)
    assert all(row.threshold is not None for row in find_thresholds(many, NAMES, PseudoSettings(), 0))
    few = Answered(many.probs, many.labels, many.groups // 20)
    assert all(row.threshold is None for row in find_thresholds(few, NAMES, PseudoSettings(), 0))


def test_images_without_a_label_do_not_count() -> None:
    images = answered(1500, 0)
    more = Answered(
        np.concatenate([images.probs, images.probs]),
        np.concatenate([images.labels, np.full(1500, MISSING)]),
        np.concatenate([images.groups, images.groups + 10_000]),
    )
    both = [find_thresholds(some, NAMES, PseudoSettings(), 0) for some in (images, more)]
    assert both[0] == both[1]


def test_a_label_that_is_never_predicted_is_never_given() -> None:
    images = answered(1500, 0)
    probs = images.probs.copy()
    probs[:, 2] = 0
    row = find_thresholds(Answered(probs, images.labels, images.groups), NAMES, PseudoSettings(), 0)[2]
    assert row.threshold is None
    assert row.why == "it is predicted in no group that the network did not train on"


def test_a_label_that_is_rare_among_the_new_images_must_be_as_precise_there() -> None:
    images = answered(3000, 0)
    plain = find_thresholds(images, NAMES, PseudoSettings(), 0)
    assert plain[0].at_prior is None
    rare = np.log([0.02, 1.49, 1.49])
    row = find_thresholds(images, NAMES, PseudoSettings(), 0, rare)[0]
    assert row.threshold is None
    assert "with the estimated prior of the images its precision is" in row.why


@pytest.mark.parametrize("errors", [np.zeros(10), np.array([0.0] * 40 + [0.5, 1.0]), np.ones(3)])
def test_the_lower_bound_is_where_the_test_just_rejects(errors: FloatArray) -> None:
    low = lower_bound(errors, 0.9)
    mean = float(errors.mean())
    assert 0 <= low <= 1 - mean
    if low > 1e-3:
        assert p_value(mean, len(errors), 1 - low + 1e-3) <= 0.1
        assert p_value(mean, len(errors), 1 - low - 1e-3) > 0.1
