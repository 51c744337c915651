"""Cross-fitting: what is scored on people is fitted on others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from multitask.data.samples import Samples
from multitask.data.splits import assign_groups
from multitask.evaluation.decode.base import DecodeSettings, LabelledOutputs, Priors
from multitask.evaluation.metrics import FloatArray, IntArray, f1_scores

NUM_FOLDS = 5
MANY = 5000
"""With more pictures than this two folds do: half of them teach a rule as much as four fifths, in a quarter of the
time."""


def num_folds(known: LabelledOutputs) -> int:
    """How many folds the groups are dealt into: as many as there are groups with a class, at most ``NUM_FOLDS``.

    With more than ``MANY`` pictures at most two; fewer than two mean that nothing can be cross-fitted.
    """
    most = NUM_FOLDS if len(known) <= MANY else 2
    return min(most, len(set(known.groups[known.classes >= 0])))


def deal(known: LabelledOutputs, seed: int) -> IntArray:
    """(N,) the fold of each picture: groups stay together, classes are shared out, each fold has somebody with a class.

    Groups in which no class is known, which help to fit temperatures only, are in the first.

    Args:
        known: N pictures, of at least two groups with a class.
        seed: of the dealing.
    """
    count = num_folds(known)
    assert count > 1, "cross-fitting needs two groups"
    dealt = np.flatnonzero(np.isin(known.groups.astype(str), known.groups[known.classes >= 0].astype(str)))
    names = dealt.astype(str).astype(object)
    samples = Samples(
        known.space,
        Path(),
        names,
        known.groups[dealt],
        known.labels[dealt],
        np.full((len(dealt), known.space.num_tasks), np.nan),
        np.ones(len(dealt), dtype=np.float32),
        names,
    )
    folds = np.zeros(len(known), dtype=np.int64)
    folds[dealt] = assign_groups(samples, [1 / count] * count, seed)
    return folds


def cross_fit(
    rule: DecodeSettings, known: LabelledOutputs, priors: Priors | None, folds: IntArray, seed: int
) -> IntArray:
    """The class of each picture, by the rule fitted on the other folds.

    Args:
        rule: what is fitted anew for every fold.
        known: N pictures.
        priors: those in the outputs.
        folds: (N,) the fold of each.
        seed: of the fits.

    Returns:
        (N,).
    """
    predicted = np.empty(len(known), dtype=np.int64)
    for fold in np.unique(folds):
        inside = folds == fold
        fitted = rule.fit(known.take(np.flatnonzero(~inside)), priors, seed)
        predicted[inside] = fitted.decode(known.outputs.take(np.flatnonzero(inside)))
    return predicted


def influences(classes: IntArray, predicted: IntArray, groups: IntArray, num_classes: int) -> FloatArray:
    """How far each group moves the macro-F1 over the classes that occur, to first order (infinitesimal jackknife).

    The root of the sum of their squares is the standard error over groups (Efron 1982, chapter 6); that of the
    differences of two rules' influences is the standard error of the difference of their scores.

    Args:
        classes: (N,) given.
        predicted: (N,).
        groups: (N,) numbers from 0.
        num_classes: C.

    Returns:
        (G,), their sum is 0.
    """

    # Only the classes that occur have a column: of very many classes most do not.
    there = np.unique(classes)
    column = np.full(num_classes, -1)
    column[there] = np.arange(len(there))

    def per_group(chosen: IntArray, rows: IntArray) -> FloatArray:
        rows = rows[column[chosen[rows]] >= 0]
        flat = np.bincount(groups[rows] * len(there) + column[chosen[rows]], minlength=(groups.max() + 1) * len(there))
        return flat.reshape(-1, len(there)).astype(float)

    every = np.arange(len(classes))
    hits = per_group(classes, np.flatnonzero(classes == predicted))
    total = per_group(classes, every) + per_group(predicted, every)
    sums = total.sum(axis=0)
    f1 = f1_scores(hits.sum(axis=0), sums, np.zeros(len(there)))
    share = np.divide(2 * hits - f1 * total, sums, out=np.zeros_like(hits), where=sums > 0)
    found: FloatArray = share.mean(axis=1)
    return found
