"""The label prior of images without labels, on simulations of which the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from multitask.errors import UserError
from multitask.evaluation.prior_shift import (
    CLASSES,
    Answered,
    confusion,
    em_prior,
    estimate_prior,
    invert_confusion,
)
from multitask.labels import MISSING

NAMES = ("a", "b", "c")
POSSIBLE = np.ones(3, dtype=bool)


def simulated(
    prior: NDArray[np.float64],
    num: int,
    seed: int,
    *,
    trained: NDArray[np.float64] | None = None,
    spread: float = 1.8,
    groups: int | None = None,
) -> Answered:
    """Images of which x is normal around a corner for each label, with their exact posteriors under ``trained``."""
    rng = np.random.default_rng(seed)
    size = len(prior)
    trained = np.full(size, 1 / size) if trained is None else trained
    group_of = np.arange(num) if groups is None else rng.integers(groups, size=num)
    labels = rng.choice(size, size=num, p=prior)
    if groups is not None:
        labels = rng.choice(size, size=groups, p=prior)[group_of]
    x = spread * np.eye(size)[labels] + rng.normal(size=(num, size))
    logits = spread * x + np.log(trained)
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    return Answered(probs / probs.sum(axis=1, keepdims=True), labels, group_of)


priors = st.lists(st.floats(0.05, 1), min_size=2, max_size=6).map(lambda values: np.array(values) / sum(values))


@settings(max_examples=15, deadline=None)
@given(priors, priors.map(lambda prior: prior[::-1]), st.integers(0, 1000))
def test_em_finds_the_prior_that_drew_the_images(
    prior: NDArray[np.float64], trained: NDArray[np.float64], seed: int
) -> None:
    if len(prior) != len(trained):
        trained = np.full(len(prior), 1 / len(prior))
    drawn = simulated(prior, 20_000, seed, trained=trained)
    found = em_prior(drawn.probs, trained)
    assert np.isclose(found.sum(), 1)
    assert np.abs(found - np.bincount(drawn.labels, minlength=len(prior)) / 20_000).max() < 0.03


@settings(max_examples=30, deadline=None)
@given(priors, st.integers(0, 1000))
def test_where_nothing_has_shifted_em_stays_where_it_began(prior: NDArray[np.float64], seed: int) -> None:
    probs = simulated(prior, 300, seed, trained=prior).probs
    assert np.allclose(em_prior(probs, probs.mean(axis=0)), probs.mean(axis=0))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_em_raises_the_likelihood_above_that_of_any_other_prior(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trained = np.full(3, 1 / 3)
    probs = simulated(rng.dirichlet(np.ones(3)), 200, seed).probs
    found = em_prior(probs, trained)

    def likelihood(prior: NDArray[np.float64]) -> float:
        return float(np.log((probs / trained) @ prior).sum())

    assert all(likelihood(found) >= likelihood(rng.dirichlet(np.ones(3))) - 1e-6 for _ in range(20))


def test_em_weighs_images_as_if_they_stood_so_often() -> None:
    probs = simulated(np.array([0.2, 0.3, 0.5]), 60, 0).probs
    counts = np.random.default_rng(1).integers(0, 4, size=60)
    trained = np.array([0.5, 0.3, 0.2])
    weighted = em_prior(probs, trained, counts.astype(float))
    assert np.allclose(weighted, em_prior(np.repeat(probs, counts, axis=0), trained), atol=1e-5)


def test_an_inverted_confusion_matrix_gives_the_prior_back() -> None:
    rng = np.random.default_rng(0)
    matrix = confusion(rng.integers(4, size=500), np.arange(500) % 4, 4) * 0.3 + 0.7 * np.eye(4)
    prior = rng.dirichlet(np.ones(4))
    assert np.allclose(invert_confusion(matrix, matrix @ prior), prior)
    assert (invert_confusion(matrix, np.array([1.0, 0, 0, 0])) >= 0).all()


def test_both_estimates_agree_with_the_truth_and_the_interval_holds_it() -> None:
    truth = np.array([0.7, 0.1, 0.2])
    inside = 0
    for seed in range(20):
        labelled = simulated(np.array([0.3, 0.3, 0.4]), 3000, seed, trained=np.array([0.3, 0.3, 0.4]))
        new = simulated(truth, 600, seed + 100, trained=np.array([0.3, 0.3, 0.4]))
        found = estimate_prior(labelled, new, NAMES, POSSIBLE, "task", seed)
        assert np.abs(np.array(found.prior) - truth).max() < 0.08
        assert np.abs(np.array(found.prior) - np.array(found.by_confusion)).max() < 0.08
        inside += sum(low <= true <= high for (low, high), true in zip(found.prior_ci, truth, strict=True))
    assert inside >= 53  # of 60, of which 57 are expected


def test_intervals_are_over_groups_so_many_images_of_few_groups_are_wide() -> None:
    labelled = simulated(np.full(3, 1 / 3), 2000, 0)
    widths = []
    for groups in (20, None):
        new = simulated(np.array([0.5, 0.3, 0.2]), 1000, 1, groups=groups)
        found = estimate_prior(labelled, new, NAMES, POSSIBLE, "task", 0)
        widths.append(found.prior_ci[0][1] - found.prior_ci[0][0])
    assert widths[0] > 3 * widths[1]


def test_intervals_are_as_wide_where_labels_are_hard_to_tell_apart_and_em_is_slow() -> None:
    trained = np.array([0.5, 0.3, 0.2])
    labelled = simulated(trained, 4000, 0, trained=trained, spread=0.45)
    new = simulated(np.array([0.15, 0.25, 0.6]), 1500, 1, trained=trained, spread=0.45, groups=300)
    found = estimate_prior(labelled, new, NAMES, POSSIBLE, "task", 0)
    assert found.condition > 20
    rng, of_group = np.random.default_rng(0), np.unique(new.groups, return_inverse=True)[1]
    num = int(of_group.max()) + 1
    draws = [rng.multinomial(num, np.full(num, 1 / num))[of_group].astype(float) for _ in range(200)]
    trained, prior = np.array(found.trained), np.array(found.prior)
    whole = [em_prior(new.probs, trained, drawn, prior, most_steps=5000) for drawn in draws]
    low, high = np.quantile(whole, [0.025, 0.975], axis=0)
    assert [high - low for low, high in found.prior_ci] == pytest.approx((high - low).tolist(), rel=0.02)


def test_a_label_that_cannot_occur_has_no_share() -> None:
    labelled, new = simulated(np.array([0.5, 0.5, 0]), 500, 0), simulated(np.array([0.2, 0.8, 0]), 500, 1)
    found = estimate_prior(labelled, new, NAMES, np.array([True, True, False]), "task", 0)
    assert found.prior[2] == found.trained[2] == found.log_ratio()[2] == 0
    assert found.log_ratio()[0] < 0 < found.log_ratio()[1]


def test_a_label_that_never_occurs_is_not_identifiable() -> None:
    labelled, new = simulated(np.array([0.5, 0.5, 0]), 500, 0), simulated(np.full(3, 1 / 3), 500, 1)
    with pytest.raises(UserError, match="prior of task: is not identifiable: 'c' never occurs"):
        estimate_prior(labelled, new, NAMES, POSSIBLE, "task", 0)


def test_without_a_label_none_is_said_to_be_rare() -> None:
    new = simulated(np.full(3, 1 / 3), 500, 1)
    none = Answered(new.probs[:0], new.labels[:0], new.groups[:0])
    with pytest.raises(UserError, match=r"no image that .* without having trained on it has a label of it$"):
        estimate_prior(none, new, NAMES, POSSIBLE, "task", 0)
    with pytest.raises(UserError, match=r"no image that .* without having trained on it has all labels$"):
        estimate_prior(none, new, NAMES, POSSIBLE, CLASSES, 0)
    labelled = simulated(np.array([0.5, 0.5, 0]), 500, 0)
    with pytest.raises(UserError, match=r"'c' never occurs among the 500 images with all labels that"):
        estimate_prior(labelled, new, NAMES, POSSIBLE, CLASSES, 0)


def test_a_label_of_too_few_groups_is_refused_rather_than_taken_for_told_apart() -> None:
    labelled, new = simulated(np.full(3, 1 / 3), 600, 0, groups=40), simulated(np.full(3, 1 / 3), 500, 1)
    merged = np.where(np.isin(labelled.labels, [0, 1]), labelled.groups, 1000)  # of the last label one group
    with pytest.raises(UserError, match=r"of the .* 1 has 'c', too few"):
        estimate_prior(Answered(labelled.probs, labelled.labels, merged), new, NAMES, POSSIBLE, "task", 0)
    eight = simulated(np.full(8, 1 / 8), 400, 0)  # two images of each label: most resamples lack some label
    rows = np.concatenate([np.flatnonzero(eight.labels == label)[:2] for label in range(8)])
    thin = Answered(eight.probs[rows], eight.labels[rows], rows)
    with pytest.raises(UserError, match="2 have 'a', too few"):
        estimate_prior(thin, eight, tuple("abcdefgh"), np.ones(8, dtype=bool), "task", 0)


@pytest.mark.parametrize("seed", range(5))
def test_a_network_that_knows_nothing_is_refused_with_its_condition_number(seed: int) -> None:
    labelled, new = (simulated(np.full(3, 1 / 3), 400, seed + more, spread=0.02) for more in (0, 100))
    with pytest.raises(UserError, match=r"near-singular \(condition number [\d.]+"):
        estimate_prior(labelled, new, NAMES, POSSIBLE, "task", seed)


def test_two_labels_that_look_alike_are_refused() -> None:
    labelled = simulated(np.full(3, 1 / 3), 900, 0)
    merged = labelled.probs.copy()
    merged[:, 1:] = merged[:, 1:].mean(axis=1, keepdims=True)
    merged[:, 1] += 1e-9
    alike = Answered(merged, labelled.labels, labelled.groups)
    with pytest.raises(UserError, match="near-singular"):
        estimate_prior(alike, alike, NAMES, POSSIBLE, "task", 0)


def test_images_without_a_label_do_not_count_among_the_labelled() -> None:
    labelled, new = simulated(np.full(3, 1 / 3), 600, 0), simulated(np.array([0.6, 0.2, 0.2]), 300, 1)
    more = Answered(
        np.concatenate([labelled.probs, np.full((50, 3), 1 / 3)]),
        np.concatenate([labelled.labels, np.full(50, MISSING)]),
        np.concatenate([labelled.groups, np.arange(1000, 1050)]),
    )
    both = [estimate_prior(some, new, NAMES, POSSIBLE, "task", 0) for some in (labelled, more)]
    assert both[0] == both[1]
