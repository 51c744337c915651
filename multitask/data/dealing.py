"""Groups dealt into parts in which every class has the same share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from multitask.data.group_counts import GroupCounts, Node, dense, tree
from multitask.data.samples import Samples

_LONG = 32
"""Groups of the same counts that are dealt at once, if there are as many one after the other; and at most"""
_BLOCK = 4096
_MANY = 100_000
"""Distinct counts that are remembered."""


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
    return _deal(samples.groups.ranks()[0], samples.kinds, shares, seed)


def take_share(samples: Samples, share: float, seed: int) -> NDArray[np.bool_]:
    """(N,) bool, the samples of about a share of the groups; of none or of all where there are too few groups.

    Args:
        samples: N samples.
        share: of the groups.
        seed: of the dealing.
    """
    shares = (1 - share, share)
    groups = samples.groups.ranks()[0]
    part = _deal(groups, samples.kinds, shares, seed)
    if not part.any():
        # Where nearly every group has classes that no other has, each is best shared out by staying on the larger
        # side: there is nothing to stratify by.
        part = _deal(groups, np.zeros(len(samples), dtype=np.int64), shares, seed)
    return np.asarray(part == 1)


def in_order(samples: Samples, indices: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """The samples at ``indices``, group after group, the first half of them a stratified half, and so on within it."""
    groups, kinds = samples.groups.ranks()[0], samples.kinds

    def ordered(rows: NDArray[np.int64]) -> NDArray[np.int64]:
        if (groups[rows] == groups[rows[0]]).all():
            return rows
        part = _deal(groups[rows], kinds[rows], (0.5, 0.5), seed)
        return np.concatenate([ordered(rows[part == index]) for index in (0, 1)])

    return ordered(indices)


def _deal(groups: NDArray[np.int64], kinds: NDArray[np.int64], shares: Sequence[float], seed: int) -> NDArray[np.int64]:
    """(N,) the part of each sample, by its group and the kind of its labels; groups rise as their names do."""
    # A sample with a missing label is a class of its own kind, so that it is shared out too.
    group_of, num_groups = dense(groups)
    if not num_groups:
        return np.empty(0, dtype=np.int64)
    kind_of, num_kinds = dense(kinds)
    del groups, kinds  # of ten million samples they are large
    counts = GroupCounts.of(group_of, num_groups, kind_of, num_kinds)
    del kind_of
    order = np.random.default_rng(seed).permutation(num_groups)
    order = order[np.argsort(-counts.largest()[order], kind="stable")]
    part_of_group = np.empty(num_groups, dtype=np.int8 if len(shares) < 128 else np.int64)
    part_of_group[order] = _Dealer(counts, shares).deal(counts.alike[order])
    return part_of_group[group_of].astype(np.int64)


class _Dealer:
    """Deals groups, one after the other, each to the part that it costs least.

    Part p of share s_p, which has the share f_j of class j so far, costs sum_j ((f_j + c_j) / s_p) ** 2 s_p - (f_j /
    s_p) ** 2 s_p to have a group with the share c_j: how far it would be over its share; an empty part's room counts
    most.
    """

    def __init__(self, counts: GroupCounts, shares: Sequence[float]) -> None:
        self._counts = counts
        self._shares = [float(share) for share in shares]
        self._filled = [[0.0] * counts.num_columns for _ in shares]
        self._known: dict[int, tuple[Node, list[tuple[int, float]]]] = {}

    def deal(self, alike: NDArray[np.int32]) -> NDArray[np.int64]:
        """(G,) the part of each group; ``alike`` are the groups' counts in their order."""
        ends = np.flatnonzero(np.diff(alike, append=-1)) + 1
        parts = np.empty(len(alike), dtype=np.int64)
        begin = 0
        for end, first in zip(ends.tolist(), alike[ends - 1].tolist(), strict=True):
            row = self._row(first)
            if end - begin < _LONG:
                for place in range(begin, end):
                    parts[place] = self._one(row)
            else:
                for start in range(begin, end, _BLOCK):
                    stop = min(start + _BLOCK, end)
                    parts[start:stop] = self._several(row, stop - start)
            begin = end
        return parts

    def _row(self, alike: int) -> tuple[Node, list[tuple[int, float]]]:
        row = self._known.get(alike)
        if row is None:
            if len(self._known) >= _MANY:
                self._known.clear()
            shares = self._counts.row(alike)
            row = self._known[alike] = tree(shares, self._counts.num_columns), shares
        return row

    def _one(self, row: tuple[Node, list[tuple[int, float]]]) -> int:
        """The part of one group."""
        node, shares = row
        costs = [node(filled, share) for filled, share in zip(self._filled, self._shares, strict=True)]
        part = costs.index(min(costs))
        filled = self._filled[part]
        for column, count in shares:
            filled[column] += count
        return part

    def _several(self, row: tuple[Node, list[tuple[int, float]]], num: int) -> NDArray[np.int64]:
        """The parts of groups whose counts are alike.

        What the n-th of them would cost a part depends only on how many of them it has. So to deal each to the part
        that it costs least is to merge the parts' costs, each of which rises; where one falls by rounding, what comes
        before it has kept it waiting.
        """
        node, shares = row
        steps = []
        costs = np.empty((len(self._shares), num))
        for part, share in enumerate(self._shares):
            filled = {}
            for column, count in shares:
                filled[column] = np.full(num + 1, count)
                filled[column][0] = self._filled[part][column]
                np.add.accumulate(filled[column], out=filled[column])
            steps.append(filled)
            costs[part] = node({column: values[:-1] for column, values in filled.items()}, share)
        np.maximum.accumulate(costs, axis=1, out=costs)
        parts: NDArray[np.int64] = np.argsort(costs.ravel(), kind="stable")[:num] // num
        for part, taken in enumerate(np.bincount(parts, minlength=len(self._shares)).tolist()):
            for column, values in steps[part].items():
                self._filled[part][column] = float(values[taken])
        return parts
