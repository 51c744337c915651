"""Splits: no group on both sides, ever; every class's share the same on both; the seed decides, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.data.samples import Samples
from multitask.data.splits import fold, hold_out
from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace, Task

SPACE = LabelSpace(
    [
        Task("mask", ("wear", "incorrect", "not_worn")),
        Task("gender", ("male", "female")),
        Task("age", ("<30", "30-60", ">=60"), "binned", (30.0, 60.0)),
    ]
)


def people(num: int, seed: int = 0, missing: float = 0.0) -> Samples:
    """The competition's proportions: seven pictures a person, 7% of the people in the oldest band."""
    rng = np.random.default_rng(seed)
    groups: list[str] = []
    values: dict[str, list[Any]] = {"mask": [], "gender": [], "age": []}
    for person in range(num):
        gender = "male" if rng.random() < 0.4 else "female"
        age: int | None = int(rng.choice([20, 45, 60], p=[0.47, 0.46, 0.07]))
        if rng.random() < missing:
            age = None
        for mask in ["wear"] * 5 + ["incorrect", "not_worn"]:
            groups.append(f"person {person}")
            values["mask"].append(mask)
            values["gender"].append(gender)
            values["age"].append(age)
    return Samples.from_values(SPACE, Path("/"), [str(i) for i in range(len(groups))], groups, values, "test")


@st.composite
def tables(draw: st.DrawFn) -> Samples:
    """Groups of any size with any labels, some missing, in any order."""
    num = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    num_groups = draw(st.integers(1, num))
    space = LabelSpace([Task("a", ("0", "1")), Task("b", ("0", "1", "2"))])
    labels = np.stack([rng.integers(-1, 2, num), rng.integers(-1, 3, num)], axis=1)
    return Samples(
        space,
        Path("/"),
        np.array([str(index) for index in range(num)], dtype=object),
        np.array([f"g{group}" for group in rng.integers(0, num_groups, num)], dtype=object),
        labels,
        np.full(labels.shape, np.nan),
        np.ones(num, dtype=np.float32),
        np.full(num, "test", dtype=object),
    )


class TestHoldOut:
    @given(tables(), st.floats(0.05, 0.95), st.integers(0, 10**6))
    @settings(deadline=None, max_examples=150)
    def test_every_sample_is_on_one_side_and_every_group_too(
        self, samples: Samples, val_fraction: float, seed: int
    ) -> None:
        try:
            split = hold_out(samples, val_fraction, seed)
        except UserError as error:
            # Only where the smaller side's share is less than a group or so.
            assert "leaves one side empty" in str(error)  # noqa: PT017
            assert samples.num_groups * min(val_fraction, 1 - val_fraction) < 4
            return
        assert sorted([*split.train, *split.val]) == list(range(len(samples)))
        assert not set(samples.groups[split.train]) & set(samples.groups[split.val])
        assert len(split.train)
        assert len(split.val)
        for side in (split.train, split.val):
            assert (np.diff(side) > 0).all()

    @pytest.mark.parametrize("val_fraction", [0.1, 0.2, 0.3, 0.5])
    @pytest.mark.parametrize(("num", "within"), [(40, 3), (300, 1)])
    def test_the_share_of_groups_is_the_fraction(self, num: int, within: int, val_fraction: float) -> None:
        # Each of the six kinds of people is rounded to a person, which among few people is all that can be had.
        for seed in range(5):
            samples = people(num, seed)
            held = len(set(samples.groups[hold_out(samples, val_fraction, seed).val]))
            assert abs(held - val_fraction * num) <= within

    @pytest.mark.parametrize("val_fraction", [0.1, 0.2, 0.3, 0.5])
    def test_every_class_has_its_share_to_half_a_person(self, val_fraction: float) -> None:
        for seed in range(5):
            samples = people(300, seed)
            val = hold_out(samples, val_fraction, seed).val
            all_counts = np.bincount(samples.classes, minlength=18)
            val_counts = np.bincount(samples.classes[val], minlength=18)
            assert (all_counts > 0).all()
            of_person = np.repeat([5, 1, 1], 6)  # a person's pictures in a class
            assert (np.abs(val_counts - val_fraction * all_counts) / of_person).max() <= 0.51

    def test_chance_alone_would_not_share_so_evenly(self) -> None:
        # That the bound above means something: a plain shuffle of the groups misses it by far.
        samples = people(300)
        held = np.random.default_rng(0).permutation(300)[:60]
        val = np.isin(samples.groups, [f"person {person}" for person in held])
        difference = np.bincount(samples.classes[val], minlength=18) - 0.2 * np.bincount(samples.classes, minlength=18)
        assert np.abs(difference / np.repeat([5, 1, 1], 6)).max() > 1.5

    def test_people_with_a_missing_label_are_shared_out_too(self) -> None:
        samples = people(300, missing=0.2)
        val = hold_out(samples, 0.2, 0).val
        unknown = samples.labels[:, 2] == MISSING
        assert abs(unknown[val].sum() / unknown.sum() - 0.2) < 0.03

    def test_the_seed_decides(self) -> None:
        samples = people(100)
        splits = [hold_out(samples, 0.2, seed).val.tolist() for seed in (0, 0, 1)]
        assert splits[0] == splits[1]
        assert splits[0] != splits[2]
        assert len(set(splits[0]) & set(splits[2])) < 0.5 * len(splits[0])

    def test_the_order_of_pictures_does_not(self) -> None:
        samples = people(60)
        order = np.random.default_rng(0).permutation(len(samples))
        shuffled = samples.take(order)
        held = set(samples.groups[hold_out(samples, 0.2, 0).val])
        assert set(shuffled.groups[hold_out(shuffled, 0.2, 0).val]) == held

    def test_nothing_held_out_all_train(self) -> None:
        split = hold_out(people(3), 0, 0)
        assert split.train.tolist() == list(range(21))
        assert len(split.val) == 0

    def test_one_group_is_too_few(self) -> None:
        with pytest.raises(UserError, match=r"^data\.val_fraction: leaves one side empty; the data has 1 groups$"):
            hold_out(people(1), 0.2, 0)


class TestFold:
    @given(tables(), st.integers(2, 6), st.integers(0, 10**6))
    @settings(deadline=None, max_examples=80)
    def test_folds_partition_the_groups_wherever_there_are_enough(
        self, samples: Samples, count: int, seed: int
    ) -> None:
        if samples.num_groups < count:
            line = rf"^data\.folds: leaves one side empty; the data has {samples.num_groups} groups$"
            with pytest.raises(UserError, match=line):  # noqa: PT012
                for index in range(count):
                    fold(samples, index, count, seed)
            return
        seen: list[int] = []
        for index in range(count):
            split = fold(samples, index, count, seed)
            assert sorted([*split.train, *split.val]) == list(range(len(samples)))
            assert not set(samples.groups[split.train]) & set(samples.groups[split.val])
            seen += split.val.tolist()
        assert sorted(seen) == list(range(len(samples)))

    @pytest.mark.parametrize(("num", "count"), [(12, 5), (40, 10), (100, 5), (300, 10)])
    def test_folds_are_alike_in_size_and_classes(self, num: int, count: int) -> None:
        samples = people(num, seed=1)
        folds = [fold(samples, index, count, 0).val for index in range(count)]
        sizes = [len(set(samples.groups[val])) for val in folds]
        assert max(sizes) - min(sizes) <= 1
        counts = np.array([np.bincount(samples.classes[val], minlength=18) for val in folds])
        assert ((counts.max(axis=0) - counts.min(axis=0)) <= np.repeat([5, 1, 1], 6)).all()

    def test_folds_do_not_change_with_the_index(self) -> None:
        samples = people(30)
        held = [set(samples.groups[fold(samples, index, 3, 5).val]) for index in (0, 1, 2, 0)]
        assert held[0] == held[3]
        assert held[0] | held[1] | held[2] == set(samples.groups)
