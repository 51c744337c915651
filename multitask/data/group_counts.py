"""Counts of the samples of each class in groups, of which many are alike; and sums over classes as numpy adds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multitask.utils.texts import Codes

Node = Callable[[Sequence[float] | Mapping[int, Any], float], Any]
"""The cost of a part that has so much of each class already and is to have such a share, floats or arrays of them."""


def dense(values: Codes) -> tuple[NDArray[np.int32], int]:
    """(N,) numbers of the different ones of values from 0, rising as these do, and how many there are.

    >>> dense(np.array([7, 3, 7]))
    (array([1, 0, 1], dtype=int32), 2)
    """
    if len(values) and values.min() >= 0 and values.max() < max(2 * len(values), 1 << 12):
        there = np.zeros(int(values.max()) + 1, dtype=np.int32)
        there[values] = 1
        places = np.cumsum(there, dtype=np.int32) - np.int32(1)
        return places[values], int(places[-1]) + 1
    found, codes = np.unique(values, return_inverse=True)
    return codes.ravel().astype(np.int32), len(found)


@dataclass(frozen=True, eq=False)
class GroupCounts:
    """The samples of each class in G groups: of each group the classes that it has, one after the other.

    Attributes:
        alike: (G,) numbers from 0, alike where all counts are.
        first: by these numbers, the first entry of one such group.
        sizes: likewise, how many entries it has.
        kinds: (E,) the class of each entry.
        nums: (E,) how many samples of the class.
        totals: (K + 1,) the samples of each class, and all.
    """

    alike: NDArray[np.int32]
    first: NDArray[np.int64]
    sizes: NDArray[np.int32]
    kinds: NDArray[np.int32]
    nums: NDArray[np.int32]
    totals: NDArray[np.int64]

    @classmethod
    def of(
        cls, group_of: NDArray[np.int32], num_groups: int, kind_of: NDArray[np.int32], num_kinds: int
    ) -> GroupCounts:
        """The counts of N samples.

        Args:
            group_of: (N,) their groups, from 0; every group has one.
            num_groups: G.
            kind_of: (N,) their classes, from 0.
            num_kinds: K.
        """
        totals = np.append(np.bincount(kind_of, minlength=num_kinds), len(kind_of))
        keys = group_of.astype(np.int64)
        keys *= num_kinds
        keys += kind_of
        keys.sort()
        begins, nums = _runs(keys)
        keys = keys[begins]
        del begins
        kinds = (keys % num_kinds).astype(np.int32)
        keys //= num_kinds
        firsts, sizes = _runs(keys)
        del keys
        alike, num = _alike(firsts, sizes, kinds, nums)
        one = np.empty(num, dtype=np.int64)
        one[alike] = np.arange(num_groups)
        return cls(alike, firsts[one], sizes[one], kinds, nums, totals)

    @property
    def num_columns(self) -> int:
        """K + 1: the classes, and all samples as one more."""
        return len(self.totals)

    def row(self, alike: int) -> list[tuple[int, float]]:
        """By column, where there is any, the share of all samples of it that such a group has."""
        first, totals = int(self.first[alike]), self.totals
        entries = slice(first, first + int(self.sizes[alike]))
        kinds, nums = self.kinds[entries].tolist(), self.nums[entries].tolist()
        shares = [(kind, num / int(totals[kind])) for kind, num in zip(kinds, nums, strict=True)]
        return [*shares, (len(totals) - 1, sum(nums) / int(totals[-1]))]

    def largest(self) -> NDArray[np.float64]:
        """(G,) the largest of a group's shares of a class, or of all samples."""
        shares = self.nums / self.totals[self.kinds]
        entries = np.arange(self.sizes.sum()) + np.repeat(self.first - np.cumsum(self.sizes) + self.sizes, self.sizes)
        starts = np.cumsum(self.sizes) - self.sizes
        largest = np.maximum.reduceat(shares[entries], starts)
        whole = np.add.reduceat(self.nums[entries].astype(np.int64), starts) / self.totals[-1]
        found: NDArray[np.float64] = np.maximum(largest, whole)[self.alike]
        return found


def _runs(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Where each run of equal values begins, and how long it is; there is a value."""
    begins = np.append(0, np.flatnonzero(values[1:] != values[:-1]) + 1)
    return begins, np.diff(begins, append=len(values)).astype(np.int32)


def _alike(
    firsts: NDArray[np.int64], sizes: NDArray[np.int32], kinds: NDArray[np.int32], nums: NDArray[np.int32]
) -> tuple[NDArray[np.int32], int]:
    """(G,) numbers from 0, alike where groups have the same entries, and how many: by entry after entry."""
    entries, num_entries = dense(kinds.astype(np.int64) * (int(nums.max()) + 1) + nums)
    alike = np.zeros(len(firsts), dtype=np.int64)
    rows, before = np.arange(len(firsts)), np.zeros(len(firsts), dtype=np.int64)
    place = begun = 0
    while len(rows):
        found, num = dense(before * num_entries + entries[firsts[rows] + place])
        alike[rows] = begun + found.astype(np.int64)
        place, begun = place + 1, begun + num
        goes_on = sizes[rows] > place
        rows, before = rows[goes_on], found[goes_on].astype(np.int64)
    return dense(alike)


def tree(shares: Sequence[tuple[int, float]], num_columns: int, start: int = 0) -> Node:
    """The cost of ``_Dealer`` for a group of these shares, by column, ascending; of no other column anything is added.

    The terms are added as numpy's pairwise summation adds all columns, so that the sum is the same to the bit: of more
    than 128 one half and the other; of 8 and more every eighth, these eight two by two, and then the rest in turn.
    """
    if num_columns > 128:
        half = num_columns // 2 // 8 * 8
        left = [entry for entry in shares if entry[0] < start + half]
        right = shares[len(left) :]
        if not left:
            return tree(right, num_columns - half, start + half)
        if not right:
            return tree(left, half, start)
        one, other = tree(left, half, start), tree(right, num_columns - half, start + half)
        return lambda filled, share: one(filled, share) + other(filled, share)
    end = start + num_columns // 8 * 8
    lanes = [((column - start) % 8, column, count) for column, count in shares if column < end]
    rest = shares[len(lanes) :]

    def cost(filled: Sequence[float] | Mapping[int, Any], share: float) -> Any:
        total: Any = 0.0
        if lanes:
            sums: list[Any] = [0.0] * 8
            for lane, column, count in lanes:
                before, after = filled[column] / share, (filled[column] + count) / share
                sums[lane] += (after * after - before * before) * share
            a, b, c, d, e, f, g, h = sums
            total = ((a + b) + (c + d)) + ((e + f) + (g + h))
        for column, count in rest:
            before, after = filled[column] / share, (filled[column] + count) / share
            total += (after * after - before * before) * share
        return total

    return cost
