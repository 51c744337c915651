"""Groups dealt into parts in which every class has the same share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from multitask.data.samples import Samples


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
    import pandas as pd

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


def take_share(samples: Samples, share: float, seed: int) -> NDArray[np.bool_]:
    """(N,) bool, the samples of about a share of the groups; of none or of all where there are too few groups.

    Args:
        samples: N samples.
        share: of the groups.
        seed: of the dealing.
    """
    shares = (1 - share, share)
    part = assign_groups(samples, shares, seed)
    if not part.any():
        # Where nearly every group has classes that no other has, each is best shared out by staying on the larger
        # side: there is nothing to stratify by.
        part = assign_groups(replace(samples, labels=np.zeros_like(samples.labels)), shares, seed)
    return np.asarray(part == 1)


def in_order(samples: Samples, indices: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """The samples at ``indices``, group after group, the first half of them a stratified half, and so on within it."""
    half = samples.take(indices)
    if half.num_groups == 1:
        return indices
    part = assign_groups(half, (0.5, 0.5), seed)
    return np.concatenate([in_order(samples, indices[part == index], seed) for index in (0, 1)])
