"""Convex weights of a logarithmic opinion pool, by its log-loss."""

from __future__ import annotations

import numpy as np

from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.labels import MISSING

_LEAST = -100.0  # as of the pool
_STEPS = 500
_ENOUGH = 1e-10


def pool_weights(log_probs: FloatArray, labels: IntArray) -> FloatArray:
    """The convex weights w of the members that minimise the pool's mean log-loss on images none of them trained on.

    The loss of image i is -sum_k w_k z_ki(y_i) + log sum_c exp(sum_k w_k z_ki(c)), with z_ki (C,) the log-probabilities
    of member k and y_i the label. It is convex in w, so that there is one minimum, which exponentiated gradient descent
    finds (Kivinen and Warmuth 1997): w_k <- w_k exp(-step g_k) / sum_j w_j exp(-step g_j), from equal weights.

    Args:
        log_probs: (K, N, C) z.
        labels: (N,) y, ``MISSING`` where unknown.

    Returns:
        (K,), at least 0, that sum to 1; equal ones where no label is known.

    >>> right, wrong = np.log([[0.9, 0.1], [0.2, 0.8]]), np.log([[0.3, 0.7], [0.6, 0.4]])
    >>> pool_weights(np.stack([right, wrong]), np.array([0, 1])).round(3)
    array([1., 0.])
    """
    num = len(log_probs)
    rows = np.flatnonzero(labels != MISSING)
    weights = np.full(num, 1 / num)
    if not len(rows) or num == 1:
        return weights
    values, given = np.maximum(log_probs[:, rows], _LEAST), labels[rows]
    chosen = values[:, np.arange(len(rows)), given]

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        """The mean loss, and its gradient."""
        total = np.tensordot(weights, values, axes=1)
        total -= total.max(axis=1, keepdims=True)
        probs = np.exp(total)
        sums = probs.sum(axis=1, keepdims=True)
        picked = total[np.arange(len(rows)), given]
        gradient = ((probs / sums)[None] * values).sum(axis=2).mean(axis=1) - chosen.mean(axis=1)
        return float((np.log(sums[:, 0]) - picked).mean()), gradient

    value, gradient = loss(weights)
    step = 1.0
    for _ in range(_STEPS):
        moved = weights * np.exp(-step * (gradient - gradient.min()))
        moved /= moved.sum()
        after, slope = loss(moved)
        if after > value:
            step /= 2
            if step < _ENOUGH:
                break
            continue
        gained = value - after
        weights, value, gradient = moved, after, slope
        if gained < _ENOUGH:
            break
        step *= 1.5
    return weights


def log_losses(log_probs: FloatArray, labels: IntArray) -> FloatArray:
    """(N,) -log p(y), of (N, C) log-probabilities and labels that are known.

    >>> log_losses(np.log([[0.5, 0.5]]), np.array([1])).round(3)
    array([0.693])
    """
    found: FloatArray = -np.maximum(log_probs[np.arange(len(labels)), labels], _LEAST)
    return found
