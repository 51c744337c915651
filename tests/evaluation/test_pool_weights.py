"""The weights of a pool: of least log-loss, convex, the same whatever the order of the members."""

from __future__ import annotations

import numpy as np
import pytest

from multitask.evaluation.pool_weights import log_losses, pool_weights


def members(seed: int, num: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """K members that know the label more or less, (K, N, C), and the labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 400)
    logits = rng.normal(size=(num, 400, 4))
    logits[:, np.arange(400), labels] += np.linspace(0.3, 1.5, num)[:, None]
    return logits - np.log(np.exp(logits).sum(axis=2, keepdims=True)), labels


def loss(log_probs: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    total = np.tensordot(weights, log_probs, axes=1)
    total -= np.log(np.exp(total).sum(axis=1, keepdims=True))
    return float(log_losses(total, labels).mean())


def test_no_other_convex_weights_have_a_lower_loss() -> None:
    log_probs, labels = members(0)
    found = pool_weights(log_probs, labels)
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    best = loss(log_probs, labels, found)
    grid = np.linspace(0, 1, 41)
    others = [(a, b, 1 - a - b) for a in grid for b in grid if a + b <= 1]
    assert best <= min(loss(log_probs, labels, np.array(row)) for row in others) + 1e-7


def test_the_order_of_members_changes_nothing_and_the_better_weighs_more() -> None:
    log_probs, labels = members(1)
    found = pool_weights(log_probs, labels)
    np.testing.assert_allclose(pool_weights(log_probs[::-1], labels), found[::-1], atol=1e-4)
    assert found[2] == max(found)


def test_images_without_a_label_do_not_count() -> None:
    log_probs, labels = members(2)
    some = np.where(np.arange(400) < 200, labels, -1)
    np.testing.assert_array_equal(pool_weights(log_probs, some), pool_weights(log_probs[:, :200], labels[:200]))
    np.testing.assert_array_equal(pool_weights(log_probs, np.full(400, -1)), np.full(3, 1 / 3))


def test_a_label_that_a_member_excludes_is_no_infinite_loss() -> None:
    log_probs = np.log(
        np.array([[[1.0, 0.0]], [[0.5, 0.5]]]),
        where=np.array([[[True, False]], [[True, True]]]),
        out=np.full((2, 1, 2), -np.inf),
    )
    found = pool_weights(log_probs, np.array([1]))
    assert found[1] == pytest.approx(1, abs=1e-3)
