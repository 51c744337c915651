from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from multitask.evaluation.conformal import (
    Thresholds,
    label_thresholds,
    least_groups,
    prediction_sets,
    threshold,
)
from multitask.evaluation.metrics import FloatArray, IntArray

Made = tuple[FloatArray, IntArray, IntArray]
"""(N, C) probabilities, (N,) labels and (N,) groups."""


def single_images(num: int, rng: np.random.Generator) -> tuple[FloatArray, IntArray]:
    labels = rng.choice(4, size=num, p=[0.5, 0.3, 0.15, 0.05])
    logits = rng.normal(size=(num, 4))
    logits[np.arange(num), labels] += 1.2
    probs = np.exp(logits)
    return probs / probs.sum(axis=1, keepdims=True), labels


@pytest.mark.parametrize(
    ("coverage", "sizes", "own_sizes"),
    [(0.8, (28, 24, 19, 22), None), (0.9, (35, 33, 25, 30), (37, 33, 36, 22)), (0.95, (40, 38, 34, 34), (40, 38))],
)
def test_sets_of_single_images_are_those_of_mapie_and_crepes(
    coverage: float, sizes: tuple[int, ...], own_sizes: tuple[int, ...] | None
) -> None:
    """How often each of four labels is in the sets of 50 images, calibrated by 200, each its own group.

    The right values are of MAPIE 1.6.0 and crepes 0.9.1, which agree image by image. MAPIE:
    ``SplitConformalClassifier(given, confidence_level=coverage, conformity_score="lac", prefit=True)``, with ``given``
    an estimator whose ``predict_proba(X)`` is ``X``, then ``.conformalize(probs, labels)`` and ``.predict_set(test)``.
    crepes: ``ConformalClassifier().fit(1 - p)`` of the right labels' probabilities p, and
    ``.predict_set(1 - test, confidence=coverage, smoothing=False)``; by label with ``bins=labels`` in both. At .8 its
    p-values of two labels are exactly 1 - coverage, which it takes for larger; at .95 two labels are too rare for it.
    """
    rng = np.random.default_rng(7)
    probs, labels = single_images(200, rng)
    test, _ = single_images(50, rng)
    right, alone = probs[np.arange(200), labels], np.arange(200)
    value = threshold(right, alone, coverage)
    assert (test >= value).sum(axis=0).tolist() == list(sizes)
    if own_sizes is not None:
        found = label_thresholds(right, labels, alone, np.ones(4, dtype=bool), coverage)
        assert found is not None
        assert found.own.sum() == len(own_sizes)
        assert (test >= found.values).sum(axis=0)[found.own].tolist() == list(own_sizes)


def images_of_groups(num_groups: int, rng: np.random.Generator) -> Made:
    """Groups of 1 or 20 images that are alike; the large ones are hard, so that images are no fair sample of groups."""
    easy = rng.random(num_groups) < 0.7
    groups = np.repeat(np.arange(num_groups), np.where(easy, 20, 1))
    label = rng.integers(0, 3, num_groups)[groups]
    strength = (
        np.where(easy, 3.0, -1.0)[groups] + rng.normal(size=num_groups)[groups] + 0.3 * rng.normal(size=len(groups))
    )
    logits = rng.normal(size=(len(groups), 3)) * 0.3
    logits[np.arange(len(groups)), label] += strength
    probs = np.exp(logits)
    return probs / probs.sum(axis=1, keepdims=True), label, groups


def coverage_of_new_groups(make: Callable[[np.random.Generator], Made], alone: bool, coverage: float) -> float:
    """The share of new groups' images, each group counted once, whose right label is in the set, over many trials."""
    found = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        probs, labels, groups = make(rng)
        own = np.arange(len(groups)) if alone else groups
        value = threshold(probs[np.arange(len(labels)), labels], own, coverage)
        assert value is not None
        new, new_labels, new_groups = images_of_groups(400, rng)
        covered = new[np.arange(len(new)), new_labels] >= value
        found.append((np.bincount(new_groups, covered) / np.bincount(new_groups)).mean())
    return float(np.mean(found))


@pytest.mark.parametrize("coverage", [0.8, 0.9])
@pytest.mark.parametrize("num_groups", [12, 60])
def test_coverage_holds_for_new_groups_and_is_no_larger_than_promised(coverage: float, num_groups: int) -> None:
    found = coverage_of_new_groups(lambda rng: images_of_groups(num_groups, rng), False, coverage)
    assert coverage - 0.015 < found < coverage + 2 / (num_groups + 1) + 0.015


def test_images_that_are_taken_for_independent_cover_too_little() -> None:
    assert coverage_of_new_groups(lambda rng: images_of_groups(60, rng), True, 0.9) < 0.8


def rare_label(num: int, rng: np.random.Generator) -> Made:
    """Images each of a group, of four labels: one common and easy, three rare and hard."""
    labels = rng.choice(4, size=num, p=[0.76, 0.08, 0.08, 0.08])
    logits = rng.normal(size=(num, 4))
    logits[np.arange(num), labels] += np.where(labels == 0, 3.0, 0.0)
    probs = np.exp(logits)
    return probs / probs.sum(axis=1, keepdims=True), labels, np.arange(num)


def test_each_label_that_is_common_enough_is_covered_by_itself_and_the_rare_ones_together() -> None:
    common, rare, marginal = [], [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        probs, labels, groups = rare_label(60, rng)
        right = probs[np.arange(60), labels]
        found = label_thresholds(right, labels, groups, np.ones(4, dtype=bool), 0.9)
        assert found is not None
        new, new_labels, _ = rare_label(500, rng)
        covered = prediction_sets(new, found)[np.arange(500), new_labels]
        common.append(covered[new_labels == 0].mean())
        rare.append(covered[new_labels > 0].mean())
        value = threshold(right, groups, 0.9)
        marginal.append((new[np.arange(500), new_labels] >= value)[new_labels > 0].mean())
    assert np.mean(common) > 0.89
    assert np.mean(rare) > 0.88
    assert np.mean(marginal) < 0.8  # one threshold for all labels leaves the rare ones out


def test_labels_in_too_few_groups_are_joined_by_the_next_rarest() -> None:
    labels = np.repeat([0, 1, 2, 3], [30, 12, 10, 3])
    probs = np.linspace(0.99, 0.01, len(labels))
    found = label_thresholds(probs, labels, np.arange(len(labels)), np.array([True] * 4 + [False]), 0.9)
    assert found is not None
    assert found.own.tolist() == [True, True, False, False, False]
    assert found.values[2] == found.values[3] == threshold(probs[labels > 1], np.arange(13), 0.9)
    assert found.values[4] == np.inf
    assert label_thresholds(probs[:8], labels[:8], np.arange(8), np.ones(4, dtype=bool), 0.9) is None


@pytest.mark.parametrize("coverage", [0.5, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999])
def test_least_groups_is_the_number_with_which_a_threshold_is_found(coverage: float) -> None:
    least = least_groups(coverage)
    assert threshold(np.full(least, 0.5), np.arange(least), coverage) == 0.5
    assert least == 1 or threshold(np.full(least - 1, 0.5), np.arange(least - 1), coverage) is None


def test_groups_of_many_images_weigh_one_also_where_the_sum_is_inexact() -> None:
    groups = np.repeat(np.arange(9), 7)  # nine times seven sevenths
    assert threshold(np.linspace(0.9, 0.1, 63), groups, 0.9) == pytest.approx(0.1)


def test_no_set_is_empty_and_none_holds_what_cannot_occur() -> None:
    probs = np.array([[0.4, 0.35, 0.25, 0.0], [0.9, 0.1, 0.0, 0.0]])
    sets = prediction_sets(probs, Thresholds(np.array([0.5, 0.5, 0.5, np.inf]), np.ones(4, dtype=bool)))
    assert sets.tolist() == [[True, False, False, False]] * 2
