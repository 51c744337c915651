"""Splits that keep a group together and every class's share the same on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multitask.data.samples import Samples
from multitask.errors import UserError


@dataclass(frozen=True, eq=False)
class Split:
    """Which samples train and which validate; no group is on both sides.

    Attributes:
        train: indices into the samples, ascending.
        val: likewise; empty where all samples train.
    """

    train: NDArray[np.int64]
    val: NDArray[np.int64]


def assign_groups(samples: Samples, shares: Sequence[float], seed: int) -> NDArray[np.int64]:
    """Deals the groups into parts so that each class is shared out in the proportion of the parts.

    Groups are dealt in a shuffled order, those with rare classes first, each to the part that stays nearest to its
    share of every class; a class counts the same however rare it is, since macro-F1 counts it the same. The samples as
    a whole count as one class more. With equal shares no part is empty unless there are fewer groups than parts.

    Args:
        samples: N samples in G groups.
        shares: the parts' shares; they sum to 1.
        seed: of the shuffle.

    Returns:
        (N,) the part of each sample.
    """
    names, group_of = np.unique(samples.groups.astype(str), return_inverse=True)
    # A sample with a missing label is a class of its own kind, so that it is shared out too.
    _, class_of = np.unique(samples.labels, axis=0, return_inverse=True)
    counts = np.zeros((len(names), class_of.max() + 1))
    np.add.at(counts, (group_of, class_of.ravel()), 1)
    # Where the classes leave a choice, as between parts that have none of them yet, the parts' sizes decide.
    counts = np.hstack([counts, counts.sum(axis=1, keepdims=True)])
    counts /= counts.sum(axis=0)

    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-counts[order].max(axis=1), kind="stable")]
    targets = np.asarray(shares, dtype=float)[:, None]
    filled = np.zeros((len(shares), counts.shape[1]))
    part_of_group = np.empty(len(names), dtype=np.int64)
    for group in order:
        # How far each part would be over its share, had it this group; an empty part's room counts most.
        after = (filled + counts[group]) / targets
        before = filled / targets
        cost = ((after**2 - before**2) * targets).sum(axis=1)
        part = int(np.argmin(cost))
        part_of_group[group] = part
        filled[part] += counts[group]
    return part_of_group[group_of]


def hold_out(samples: Samples, val_fraction: float, seed: int) -> Split:
    """A split that keeps back about ``val_fraction`` of the groups; 0 keeps none.

    Raises:
        UserError: there are too few groups for both sides.
    """
    if val_fraction == 0:
        return Split(np.arange(len(samples)), np.empty(0, dtype=np.int64))
    return _split(samples, assign_groups(samples, (1 - val_fraction, val_fraction), seed) == 1, "data.val_fraction")


def fold(samples: Samples, index: int, count: int, seed: int) -> Split:
    """Fold ``index`` of ``count``: every group validates in exactly one of them.

    Raises:
        UserError: there are fewer groups than folds.
    """
    return _split(samples, assign_groups(samples, [1 / count] * count, seed) == index, "data.folds")


def fewer(samples: Samples, split: Split, num_groups: int, seed: int) -> Split:
    """The split with only some of the groups that train; the samples of the others are left out.

    Every class keeps about its share, and the groups of a smaller number are among those of a larger one.

    Raises:
        UserError: there are fewer groups to train.
    """
    names, group_of = np.unique(samples.groups[split.train].astype(str), return_inverse=True)
    if num_groups > len(names):
        raise UserError(f"data.train_groups: is {num_groups}, but only {len(names)} groups can train")
    # A group counts as its rarest class; the groups of each class are spread evenly over the order.
    _, class_of = np.unique(samples.labels[split.train], axis=0, return_inverse=True)
    class_of = class_of.ravel()
    sizes = np.bincount(class_of)
    kinds = np.array([min(class_of[group_of == group], key=lambda kind: sizes[kind]) for group in range(len(names))])
    rng = np.random.default_rng(seed)
    places = np.empty(len(names))
    for kind in np.unique(kinds):
        members = rng.permutation(np.flatnonzero(kinds == kind))
        places[members] = (np.arange(len(members)) + rng.random()) / len(members)
    chosen = np.argsort(places, kind="stable")[:num_groups]
    return Split(split.train[np.isin(group_of, chosen)], split.val)


def _split(samples: Samples, validates: NDArray[np.bool_], key: str) -> Split:
    split = Split(np.flatnonzero(~validates), np.flatnonzero(validates))
    if not len(split.train) or not len(split.val):
        raise UserError(f"{key}: leaves one side empty; the data has {samples.num_groups} groups")
    shared = set(samples.groups[split.train]) & set(samples.groups[split.val])
    assert not shared, f"groups on both sides of the split: {sorted(shared)[:3]}"
    return split
