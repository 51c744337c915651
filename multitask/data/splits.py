"""Splits that keep a group together and every class's share the same on both sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multitask.data.samples import SIDES, Samples
from multitask.errors import UserError
from multitask.labels import MISSING


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
    group_of, names = pd.factorize(samples.groups, sort=True)
    # A sample with a missing label is a class of its own kind, so that it is shared out too.
    kinds, class_of = np.unique(samples.kinds, return_inverse=True)
    counts = np.zeros((len(names), len(kinds) + 1))
    np.add.at(counts, (group_of, class_of), 1)
    # Where the classes leave a choice, as between parts that have none of them yet, the parts' sizes decide.
    counts[:, -1] = counts[:, :-1].sum(axis=1)
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


def told(samples: Samples, deal: Callable[[Samples], Split]) -> Split:
    """The split that the source says; what it says nothing of is dealt.

    Args:
        samples: with ``sides``.
        deal: splits the samples of which nothing is said.

    Raises:
        UserError: nobody is told to train or to validate, or a group is told both.
    """
    assert samples.sides is not None
    validates = samples.sides == SIDES.index("val")
    rest = np.flatnonzero(samples.sides == MISSING)
    if len(rest):
        validates[rest[deal(samples.take(rest)).val]] = True
    both = set(samples.groups[validates]) & set(samples.groups[~validates])
    if both:
        raise UserError(f"data.source: group {min(both)!r} is in train and in val; a group cannot be in both")
    return _split(samples, validates, "data.source")


def _split(samples: Samples, validates: NDArray[np.bool_], key: str) -> Split:
    split = Split(np.flatnonzero(~validates), np.flatnonzero(validates))
    if not len(split.train) or not len(split.val):
        raise UserError(f"{key}: leaves one side empty; the data has {samples.num_groups} groups")
    shared = set(samples.groups[split.train]) & set(samples.groups[split.val])
    assert not shared, f"groups on both sides of the split: {sorted(shared)[:3]}"
    return split
