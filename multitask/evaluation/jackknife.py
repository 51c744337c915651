"""The standard error of an epoch's score over groups, by leaving each out once."""

from __future__ import annotations

import numpy as np

from multitask.evaluation.metrics import FloatArray, IntArray, f1_scores
from multitask.evaluation.predictions import Predictions
from multitask.labels import MISSING


def jackknife_error(left_out: FloatArray) -> float:
    """The standard error of a score from its G values with one group left out each: sqrt((G - 1) / G sum (x - mean)^2).

    Source: Efron and Stein, The jackknife estimate of variance, 1981. NaN with fewer than two groups.
    """
    num = len(left_out)
    if num < 2:
        return float("nan")
    return float(np.sqrt((num - 1) / num * ((left_out - left_out.mean()) ** 2).sum()))


def standard_error(predictions: Predictions, metric: str) -> float:
    """That of one of ``epoch_scores``, over the groups whose label is known.

    Args:
        predictions: N answered images.
        metric: ``joint.macro_f1``, or ``tasks.<task>.loss``.

    Returns:
        NaN where fewer than two groups have the label.
    """
    space, log_probs = predictions.space, predictions.joint_log_probs()
    place, _, kind = metric.rpartition(".")
    if place == "joint":
        given, predicted, declared = predictions.classes, predictions.predicted, space.possible
    else:
        task = place.removeprefix("tasks.")
        column = space.task_names.index(task)
        given, log_probs = predictions.labels[:, column], space.marginal_log_probs(log_probs)[task]
        predicted, declared = log_probs.argmax(dim=1).numpy(), space.possible_labels(task)
    rows = np.flatnonzero(given != MISSING)
    given, predicted = given[rows], predicted[rows]
    groups = np.unique(predictions.group_indices()[rows], return_inverse=True)[1]
    if kind == "macro_f1":
        return jackknife_error(
            _macro_f1_without_each(given, predicted, groups, len(declared))[:, declared].mean(axis=1)
        )
    values = log_probs.numpy()[rows, given] if kind == "loss" else (given == predicted)
    sums, sizes = np.bincount(groups, values), np.bincount(groups)
    if len(sizes) < 2:
        return float("nan")
    return jackknife_error((sums.sum() - sums) / (sizes.sum() - sizes))


def _macro_f1_without_each(given: IntArray, predicted: IntArray, groups: IntArray, num_classes: int) -> FloatArray:
    """(G, C) the F1 of every class with one of the G groups left out."""
    num_groups = int(groups.max(initial=-1)) + 1

    def left(chosen: IntArray, rows: FloatArray) -> FloatArray:
        flat = np.bincount(groups * num_classes + chosen, rows, minlength=num_groups * num_classes)
        counts = flat.reshape(num_groups, num_classes)
        found: FloatArray = counts.sum(axis=0) - counts
        return found

    every = np.ones(len(given))
    return f1_scores(left(given, (given == predicted).astype(float)), left(given, every), left(predicted, every))
