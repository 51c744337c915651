"""Groups are dealt as one group after the other would be, to the bit, however many are dealt at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from multitask.data import dealing
from multitask.data.dealing import assign_groups, in_order
from multitask.data.group_counts import dense, tree
from multitask.data.samples import Samples
from multitask.labels import LabelSpace, Task
from multitask.utils.strings import Strings


def one_by_one(samples: Samples, shares: Sequence[float], seed: int) -> np.ndarray:
    """``assign_groups`` as it is said."""
    group_of, names = pd.factorize(samples.groups.to_numpy(), sort=True)
    kinds, class_of = np.unique(samples.kinds, return_inverse=True)
    counts = np.zeros((len(names), len(kinds) + 1))
    np.add.at(counts, (group_of, class_of), 1)
    counts[:, -1] = counts[:, :-1].sum(axis=1)
    counts /= counts.sum(axis=0)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-counts[order].max(axis=1), kind="stable")]
    targets = np.asarray(shares, dtype=float)[:, None]
    filled = np.zeros((len(shares), counts.shape[1]))
    part_of_group = np.empty(len(names), dtype=np.int64)
    for group in order:
        cost = ((((filled + counts[group]) / targets) ** 2 - (filled / targets) ** 2) * targets).sum(axis=1)
        part = part_of_group[group] = int(np.argmin(cost))
        filled[part] += counts[group]
    return part_of_group[group_of]


def made(rng: np.random.Generator, num: int, sizes: Sequence[int], groups: np.ndarray) -> Samples:
    tasks = [Task(f"t{place}", tuple(map(str, range(size)))) for place, size in enumerate(sizes)]
    labels = np.stack([np.minimum(rng.geometric(0.4, num) - rng.integers(1, 3, num), size - 1) for size in sizes], 1)
    images, names = Strings.of(map(str, range(num))), Strings.of(f"g{group}" for group in groups)
    numbers, weights = np.full(labels.shape, np.nan), np.ones(num, dtype=np.float32)
    return Samples(LabelSpace(tasks), Path(), images, names, labels, numbers, weights, Strings.repeated("s", num))


@pytest.mark.parametrize("sizes", [(2,), (3, 2, 3), (5, 6, 7), (12, 15)])
@pytest.mark.parametrize("block", [3, 64, 4096])
def test_many_at_once_are_dealt_as_one_by_one(
    sizes: tuple[int, ...], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dealing, "_LONG", min(block, 32))
    monkeypatch.setattr(dealing, "_BLOCK", block)
    rng = np.random.default_rng(block)
    for num in (1, 2, 7, 60, 400):
        for groups in (rng.integers(0, max(1, num // 4), num), rng.integers(0, 2 * num, num), np.arange(num)):
            samples = made(rng, num, sizes, groups)
            for shares in ((0.8, 0.2), [1 / 3] * 3, [1 / 5] * 5):
                expected = one_by_one(samples, shares, seed=num)
                np.testing.assert_array_equal(assign_groups(samples, shares, seed=num), expected)


def test_no_samples_are_dealt_to_nobody() -> None:
    empty = made(np.random.default_rng(0), 5, (2,), np.arange(5)).take(np.empty(0, dtype=np.int64))
    assert assign_groups(empty, (0.5, 0.5), seed=0).tolist() == []


def test_in_order_halves_are_those_of_the_dealing() -> None:
    rng = np.random.default_rng(3)
    samples = made(rng, 60, (2, 3), rng.integers(0, 20, 60))

    def ordered(rows: np.ndarray) -> np.ndarray:
        half = samples.take(rows)
        if half.num_groups == 1:
            return rows
        part = one_by_one(half, (0.5, 0.5), seed=5)
        return np.concatenate([ordered(rows[part == index]) for index in (0, 1)])

    rows = np.arange(0, 60, 2)
    np.testing.assert_array_equal(in_order(samples, rows, seed=5), ordered(rows))


@pytest.mark.parametrize("num_columns", [1, 7, 8, 9, 40, 128, 129, 300, 1000])
def test_sums_are_numpys_to_the_bit(num_columns: int) -> None:
    rng = np.random.default_rng(num_columns)
    for num_terms in {1, (num_columns + 1) // 2, num_columns}:
        counts = np.zeros(num_columns)
        counts[rng.permutation(num_columns)[:num_terms]] = rng.random(num_terms)
        filled = rng.random((4, num_columns))
        expected = ((((filled + counts) / 0.3) ** 2 - (filled / 0.3) ** 2) * 0.3).sum(axis=1)
        cost = tree([(int(place), float(counts[place])) for place in np.flatnonzero(counts)], num_columns)
        assert [cost(row, 0.3) for row in filled.tolist()] == expected.tolist()
        assert cost(dict(enumerate(filled.T)), 0.3).tolist() == expected.tolist()


@pytest.mark.parametrize("values", [[], [5], [3, 1, 3, 2], [-4, 10**12, -4], [7] * 3])
def test_dense_numbers_rise_as_the_values_do(values: list[int]) -> None:
    codes, num = dense(np.array(values, dtype=np.int64))
    assert codes.tolist() == [sorted(set(values)).index(value) for value in values]
    assert num == len(set(values))
