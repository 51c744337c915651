"""Cross-fitting: each group is decided by a rule that was fitted on other groups."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multitask.data.dealing import assign_groups
from multitask.data.samples import Samples
from multitask.evaluation.decode.base import DecodeSettings
from multitask.evaluation.decode.expected import posteriors
from multitask.evaluation.decode.outputs import LabelledOutputs, ModelOutputs, Priors
from multitask.evaluation.decode.temperature import fit_temperatures
from multitask.evaluation.metrics import FloatArray, IntArray, f1_scores
from multitask.labels import MISSING
from multitask.utils.strings import Strings

NUM_FOLDS = 5
"""The most folds of cross-fitting."""
MANY = 5000
"""With more images than this two folds do: a rule fitted on half of them is as good as one on four fifths, in a quarter
of the time."""


def num_folds(known: LabelledOutputs, *, whole: bool = True) -> int:
    """The number of folds: that of the groups with a class, at most ``NUM_FOLDS``.

    With more than ``MANY`` images at most two; fewer than two mean that nothing can be cross-fitted. With ``whole``
    false groups count in which any label is known: heads can be cross-fitted on them, decode rules cannot.

    >>> from multitask.evaluation.decode.outputs import ModelOutputs
    >>> from multitask.labels import LabelSpace, Task
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log(np.full((4, 2), 0.5))})
    >>> known = LabelledOutputs(outputs, np.array([[0], [0], [1], [-1]]), np.array(["a", "a", "b", "c"], dtype=object))
    >>> num_folds(known)
    2
    """
    most = NUM_FOLDS if len(known) <= MANY else 2
    return min(most, len(set(known.groups[_dealt(known, whole)])))


def _dealt(known: LabelledOutputs, whole: bool) -> NDArray[np.bool_]:
    """(N,) bool, whose class is known, or any label."""
    return known.classes >= 0 if whole else (known.labels != MISSING).any(axis=1)


def deal(known: LabelledOutputs, seed: int, *, whole: bool = True) -> IntArray:
    """Folds in which groups stay together, classes are stratified, and each fold has a group with a class.

    Groups with labels but no class, by which temperatures and each task's sets are found, are dealt after those, and
    stratified likewise; groups without any label are in the first fold.

    Args:
        known: N images, of at least two groups with a class.
        seed: of the assignment.
        whole: as of ``num_folds``; false: any label is what is said of a class here.

    Returns:
        (N,) the fold of each image, from 0.

    >>> from multitask.evaluation.decode.outputs import ModelOutputs
    >>> from multitask.labels import LabelSpace, Task
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log(np.full((4, 2), 0.5))})
    >>> known = LabelledOutputs(outputs, np.array([[0], [1], [0], [1]]), np.array(["a", "a", "b", "b"], dtype=object))
    >>> first, second, third, fourth = deal(known, seed=0).tolist()
    >>> first == second != third == fourth
    True
    """
    count = num_folds(known, whole=whole)
    assert count > 1, "cross-fitting needs two groups"
    folds = np.zeros(len(known), dtype=np.int64)
    names = known.groups.astype(str)
    left = np.ones(len(known), dtype=bool)
    for of in dict.fromkeys((whole, False)):  # groups with a class by themselves, so that each fold has one
        rows = np.flatnonzero(left & np.isin(names, names[_dealt(known, of)]))
        folds[rows] = assign_groups(_samples(known, rows), [1 / count] * count, seed)
        left[rows] = False
        if not left.any():
            break
    return folds


def _samples(known: LabelledOutputs, rows: IntArray) -> Samples:
    """Some of the images as samples, of which nothing is known but labels and groups."""
    names = Strings.of(rows.astype(str).tolist())
    return Samples(
        known.space,
        Path(),
        names,
        Strings.of(map(str, known.groups[rows])),
        known.labels[rows],
        np.full((len(rows), known.space.num_tasks), np.nan),
        np.ones(len(rows), dtype=np.float32),
        names,
    )


def deal_known(known: LabelledOutputs, seed: int) -> IntArray | None:
    """Folds of the groups with a class; of those with any label where fewer than two have one.

    Decode rules cannot be fitted on the latter, but the heads' temperatures can.

    Args:
        known: N images.
        seed: as of ``deal``.

    Returns:
        As of ``deal``; None where fewer than two groups have any label.

    >>> from multitask.evaluation.decode.outputs import ModelOutputs
    >>> from multitask.labels import LabelSpace, Task
    >>> space = LabelSpace([Task("colour", ("red", "blue")), Task("size", ("small", "large"))])
    >>> outputs = ModelOutputs(space, {name: np.log(np.full((3, 2), 0.5)) for name in space.task_names})
    >>> labels, groups = np.array([[0, -1], [-1, 1], [-1, -1]]), np.array(["a", "b", "c"], dtype=object)
    >>> known = LabelledOutputs(outputs, labels, groups)
    >>> deal_known(known, seed=0)[[0, 1]].tolist() in ([0, 1], [1, 0])
    True
    """
    for whole in (True, False):
        if num_folds(known, whole=whole) > 1:
            return deal(known, seed, whole=whole)
    return None


def cross_fit(
    rule: DecodeSettings,
    known: LabelledOutputs,
    priors: Priors | None,
    folds: IntArray,
    seed: int,
    answered: ModelOutputs | None = None,
) -> IntArray:
    """The class of each image, by the rule fitted on the other folds.

    Args:
        rule: fitted anew for every fold.
        known: N images.
        priors: of the outputs.
        folds: (N,) the fold of each, as of ``deal``.
        seed: of the fits.
        answered: the outputs that are decided; None: those that the rule is fitted on.

    Returns:
        (N,) classes.

    >>> from multitask.evaluation.decode.outputs import ModelOutputs
    >>> from multitask.evaluation.decode.plain import JointSettings
    >>> from multitask.labels import LabelSpace, Task
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log([[0.9, 0.1], [0.2, 0.8]])})
    >>> known = LabelledOutputs(outputs, np.array([[0], [1]]), np.array(["a", "b"], dtype=object))
    >>> cross_fit(JointSettings(), known, priors=None, folds=np.array([0, 1]), seed=0)
    array([0, 1])
    """
    return cross_fit_each({rule.name: rule}, known, priors, folds, seed, answered)[rule.name]


def cross_fit_each(
    rules: Mapping[str, DecodeSettings],
    known: LabelledOutputs,
    priors: Priors | None,
    folds: IntArray,
    seed: int,
    answered: ModelOutputs | None = None,
) -> dict[str, IntArray]:
    """As ``cross_fit``, for several rules, which then share what each fold's other groups give them.

    >>> from multitask.evaluation.decode.outputs import ModelOutputs
    >>> from multitask.evaluation.decode.plain import JointSettings
    >>> from multitask.labels import LabelSpace, Task
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log([[0.9, 0.1], [0.2, 0.8]])})
    >>> known = LabelledOutputs(outputs, np.array([[0], [1]]), np.array(["a", "b"], dtype=object))
    >>> cross_fit_each({"joint": JointSettings()}, known, priors=None, folds=np.array([0, 1]), seed=0)
    {'joint': array([0, 1])}
    """
    predicted = {name: np.empty(len(known), dtype=np.int64) for name in rules}
    for fold in np.unique(folds):
        inside = folds == fold
        others = known.take(np.flatnonzero(~inside))
        held_out = (answered or known.outputs).take(np.flatnonzero(inside))
        for name, rule in rules.items():
            predicted[name][inside] = rule.fit(others, priors, seed).decode(held_out)
    return predicted


def cross_fit_posteriors(
    known: LabelledOutputs, priors: Priors | None, folds: IntArray, answered: ModelOutputs | None = None
) -> FloatArray:
    """The probabilities of the classes of each image, with the temperatures that were fitted on the other folds.

    Args:
        known: N images.
        priors: of the outputs.
        folds: (N,) the fold of each, as of ``deal``.
        answered: as of ``cross_fit``.

    Returns:
        (N, C), rows sum to 1.

    >>> from multitask.evaluation.decode.outputs import ModelOutputs
    >>> from multitask.labels import LabelSpace, Task
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log([[0.9, 0.1]] * 5)})
    >>> known = LabelledOutputs(outputs, np.array([[0], [0], [0], [1], [0]]), np.array(list("abcde"), dtype=object))
    >>> cross_fit_posteriors(known, priors=None, folds=np.array([0, 0, 0, 0, 1]))[4].round(3)  # 2, as of the others
    array([0.75, 0.25])
    """
    shifts = {} if priors is None else priors.shifts(tuple(known.outputs.tables()))
    outputs, found = answered or known.outputs, np.empty((len(known), known.space.num_classes))
    for fold in np.unique(folds):
        inside = folds == fold
        temperatures = fit_temperatures(known.take(np.flatnonzero(~inside)), priors)
        found[inside] = posteriors(outputs.take(np.flatnonzero(inside)), temperatures, shifts).T
    return found


def influences(classes: IntArray, predicted: IntArray, groups: IntArray, num_classes: int) -> FloatArray:
    """The influence of each group on the macro-F1 over the classes that occur (infinitesimal jackknife).

    u_g = mean_c (2 h_gc - F_c t_gc) / t_c over the classes c that occur, with h_gc the hits of class c in group g, t_gc
    how often c is given there plus how often it is predicted, t_c = sum_g t_gc and F_c the F1 of class c. The root of
    sum_g u_g ** 2 is the standard error over groups (Efron 1982, chapter 6); that of the differences of two rules'
    influences is the standard error of the difference of their scores.

    Args:
        classes: (N,) given.
        predicted: (N,) classes.
        groups: (N,) numbers from 0 to G - 1.
        num_classes: C.

    Returns:
        (G,) u, whose sum is 0.

    >>> classes, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    >>> influences(classes, predicted, groups=np.array([0, 1, 2, 2]), num_classes=2).round(3)
    array([ 0.111, -0.191,  0.08 ])
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
