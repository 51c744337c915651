"""Splits: no group on both sides, ever; every class's share the same on both; the seed decides, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from multitask.data.samples import SIDES, Samples
from multitask.data.splits import Split, among, fold, given_split, hold_out, limit_groups, pick_groups, with_test_fold
from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace, Task
from tests.data.made_samples import SPACE, people, tables


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
            assert " leaves none to " in str(error)  # noqa: PT017
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
            of_person = np.repeat([5, 1, 1], 6)  # a person's images in a class
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

    def test_the_order_of_images_does_not(self) -> None:
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
        with pytest.raises(UserError, match=r"^data\.val_fraction: 0\.2 of 1 group leaves none to "):
            hold_out(people(1), 0.2, 0)

    def test_a_share_that_is_no_group(self) -> None:
        with pytest.raises(UserError) as caught:
            hold_out(people(20), 0.001, 0)
        assert str(caught.value) == (
            "data.val_fraction: 0.001 of 20 groups leaves none to validate; one group is 0.05 of them"
        )


class TestFold:
    @given(tables(), st.integers(2, 6), st.integers(0, 10**6))
    @settings(deadline=None, max_examples=80)
    def test_folds_partition_the_groups_wherever_there_are_enough(
        self, samples: Samples, count: int, seed: int
    ) -> None:
        if samples.num_groups < count:
            line = rf"^data\.folds: {count} were asked for, but there (is 1 group|are {samples.num_groups} groups)$"
            for index in range(count):  # whichever of them is empty
                with pytest.raises(UserError, match=line):
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


def everybody(samples: Samples) -> Split:
    return Split(np.arange(len(samples)), np.empty(0, dtype=np.int64))


class TestLimitGroups:
    @given(tables(), st.integers(0, 10**6), st.data())
    @settings(deadline=None, max_examples=80)
    def test_so_many_groups_train_whole_and_smaller_numbers_are_nested(
        self, samples: Samples, seed: int, data: st.DataObject
    ) -> None:
        try:
            split = hold_out(samples, 0.3, seed)
        except UserError:  # too few groups for both sides
            split = everybody(samples)
        there = samples.take(split.train).num_groups
        small, large = sorted(data.draw(st.lists(st.integers(1, there), min_size=2, max_size=2)))
        found = [limit_groups(samples, split, num, seed) for num in (small, large)]
        for num, limited in zip((small, large), found, strict=True):
            chosen = set(samples.groups[limited.train])
            assert len(chosen) == num
            assert limited.train.tolist() == [row for row in split.train if samples.groups[row] in chosen]
            assert limited.val is split.val
        assert set(found[0].train.tolist()) <= set(found[1].train.tolist())

    @pytest.mark.parametrize("num", [20, 33, 75, 128])
    def test_every_class_has_about_its_share(self, num: int) -> None:
        of_person = np.repeat([5, 1, 1], 6)
        worst = []
        for seed in range(5):
            samples = people(200, seed)
            train = limit_groups(samples, everybody(samples), num, seed).train
            counts = np.bincount(samples.classes[train], minlength=18)
            wanted = np.bincount(samples.classes, minlength=18) * num / 200
            worst.append((np.abs(counts - wanted) / of_person).max())
        # In people. Drawn by chance the numbers are off by up to 2.6, and by 6.6 where 75 of 200 are drawn.
        assert max(worst) <= 2.1, worst

    def test_the_seed_decides_and_the_order_of_images_does_not(self) -> None:
        samples = people(60)
        shuffled = samples.take(np.random.default_rng(0).permutation(len(samples)))

        def chosen(table: Samples, seed: int) -> set[str]:
            return set(table.groups[limit_groups(table, everybody(table), 20, seed).train])

        assert chosen(samples, 0) == chosen(shuffled, 0) != chosen(samples, 1)

    def test_more_than_there_are_is_refused(self) -> None:
        samples = people(5)
        with pytest.raises(UserError, match=r"^data\.train_groups: 6 were asked for, but there are 5 to train$"):
            limit_groups(samples, everybody(samples), 6, 0)


class TestPickGroups:
    def test_groups_are_taken_from_those_that_train_and_from_no_others(self) -> None:
        samples = people(60)
        split = hold_out(samples, 0.3, 0)
        picked = pick_groups(samples, split, 0.25, 0)
        assert picked.val is split.val
        assert np.union1d(picked.train, picked.pick).tolist() == split.train.tolist()
        assert not set(samples.groups[picked.train]) & set(samples.groups[picked.pick])
        share = samples.take(picked.pick).num_groups / samples.take(split.train).num_groups
        assert share == pytest.approx(0.25, abs=0.05)
        assert picked.picks == "pick"
        assert split.picks == "val"
        assert set(picked.names(len(samples), "unused")) == {"train", "val", "pick"}

    def test_groups_of_which_each_has_a_class_of_its_own_pick_too(self) -> None:
        space = LabelSpace([Task("kind", tuple(f"k{number}" for number in range(10)))])
        groups = [f"g{number}" for number in range(10)]
        samples = Samples.unlabelled(space, Path(), [f"{group}.jpg" for group in groups], groups)
        samples.labels[:, 0] = np.arange(10)
        assert len(pick_groups(samples, everybody(samples), 0.2, 0).pick) == 2

    def test_only_counted_groups_pick_and_their_other_images_do_not_train(self) -> None:
        samples = people(20)
        counted = np.arange(len(samples)) % 2 == 0
        picked = pick_groups(samples, everybody(samples), 0.3, 0, counted)
        assert counted[picked.pick].all()
        assert not set(samples.groups[picked.train]) & set(samples.groups[picked.pick])
        assert (~counted[picked.train]).any()

    @pytest.mark.parametrize(("fraction", "side"), [(0.01, "pick"), (0.99, "train")])
    def test_an_empty_side_is_refused(self, fraction: float, side: str) -> None:
        samples = people(3)
        with pytest.raises(UserError, match=rf"^data\.pick_fraction: .* of the 3 groups .* none to {side}$"):
            pick_groups(samples, everybody(samples), fraction, 0)


class TestTested:
    def test_every_group_that_would_train_tests_once_and_the_same_validate(self) -> None:
        samples = people(40)
        whole = hold_out(samples, 0.2, 3)
        seen: list[str] = []
        for index in range(3):
            split = with_test_fold(samples, whole, index, 3, 5)
            assert np.array_equal(split.val, whole.val)
            assert sorted([*split.train, *split.test]) == list(whole.train)
            groups = set(samples.groups[split.test])
            assert not groups & set(samples.groups[split.train])
            seen += sorted(groups)
        assert sorted(seen) == sorted(set(samples.groups[whole.train]))

    def test_only_the_target_tests_and_none_of_its_groups_trains_elsewhere(self) -> None:
        samples = people(20)
        names = np.unique(samples.groups.astype(str))
        target = np.isin(samples.groups.astype(str), names[:10])
        target[np.flatnonzero(target)[0]] = False  # an image of a group of the target, from another source
        split = with_test_fold(samples, everybody(samples), 0, 2, 0, target)
        assert target[split.test].all()
        assert not set(samples.groups[split.test]) & set(samples.groups[split.train])
        assert set(names[10:]) <= set(samples.groups[split.train])

    def test_more_folds_than_groups_are_refused(self) -> None:
        samples = people(6)
        with pytest.raises(UserError, match=r"^data\.test_folds: 9 were asked for, but there are 6 groups to train$"):
            with_test_fold(samples, everybody(samples), 0, 9, 0)


class TestTold:
    """What the source says is done; the rest is dealt; nobody is in two parts."""

    @staticmethod
    def said(*sides: int, groups: str | None = None) -> Samples:
        """An image of each group, with what is said of it."""
        num = len(sides)
        values: dict[str, list[Any]] = {"mask": ["wear"] * num, "gender": ["male"] * num, "age": [20] * num}
        names = list(groups or "abcdefghijklmnop"[:num])
        samples = Samples.from_values(SPACE, Path("/"), [str(row) for row in range(num)], names, values, "test")
        return replace(samples, sides=np.array(sides))

    def test_all_three(self) -> None:
        split = given_split(self.said(0, 2, 1, 0, 2), lambda rest: pytest.fail("nothing is to be dealt"))
        assert [part.tolist() for part in split.parts().values()] == [[0, 3], [2], [1, 4]]
        assert split.names(6, "unused").tolist() == ["train", "test", "val", "train", "test", "unused"]
        assert list(Split(split.train, split.val).parts()) == ["train", "val"]

    def test_what_is_not_said_is_dealt_and_who_tests_is_in_no_fold(self) -> None:
        samples = self.said(*[MISSING] * 6, 2, 2)
        validated = []
        for index in range(3):
            split = given_split(samples, lambda rest, index=index: fold(rest, index, 3, 0))  # type: ignore[misc]
            assert split.test.tolist() == [6, 7]
            validated += split.val.tolist()
        assert sorted(validated) == [0, 1, 2, 3, 4, 5]
        split = given_split(samples, lambda rest: hold_out(rest, 0, 0))
        assert (len(split.train), len(split.val), len(split.test)) == (6, 0, 2)

    def test_who_tests_stays_whatever_is_done_to_who_trains(self) -> None:
        samples = self.said(0, 0, 0, 1, 2)
        split = given_split(samples, lambda rest: pytest.fail("nothing is to be dealt"))
        few = limit_groups(samples, split, 2, 0)
        assert (len(few.train), few.val.tolist(), few.test.tolist()) == (2, [3], [4])
        assert split.kept(np.array([0, 3, 4])).test.tolist() == [2]
        with pytest.raises(UserError, match="drop every image that would test"):
            split.kept(np.array([0, 3]))

    @pytest.mark.parametrize(
        ("sides", "groups", "line"),
        [
            ((0, 1, 2), "aba", "data.source: group 'a' is in train and in test; a group cannot be in both"),
            ((0, 1, 2), "abb", "data.source: group 'b' is in val and in test; a group cannot be in both"),
            ((0, 1, 1), "aab", "data.source: group 'a' is in train and in val; a group cannot be in both"),
            ((MISSING, MISSING, 2), "aba", "data.source: group 'a' is in "),
            (
                (0, 0, 2),
                None,
                "data.source: leaves one side empty: no group validates; splits: {val: []} has data.val_frac",
            ),
            ((1, 2), None, "data.source: leaves one side empty: no group trains (the data has 2 groups)"),
            ((2, 2), None, "data.source: leaves one side empty: no group trains"),
        ],
    )
    def test_what_cannot_be(self, sides: tuple[int, ...], groups: str | None, line: str) -> None:
        with pytest.raises(UserError) as caught:
            given_split(self.said(*sides, groups=groups), lambda rest: hold_out(rest, 0.5, 0))
        assert str(caught.value).startswith(line)


def test_where_every_group_has_classes_of_its_own_the_groups_are_shared_out_by_size():
    space = LabelSpace([Task("a", tuple(f"a{i}" for i in range(40))), Task("b", ("x", "y"))])
    labels = {"a": [f"a{i // 2}" for i in range(80)], "b": ["x", "y"] * 40}
    groups = [f"g{i // 2}" for i in range(80)]
    samples = Samples.from_values(space, Path("/"), [str(i) for i in range(80)], groups, labels, "test")
    split = hold_out(samples, 0.2, 0)
    assert 12 <= len(split.val) <= 20
    assert not set(samples.groups[split.val]) & set(samples.groups[split.train])


@given(tables(), st.integers(0, 10**6), st.booleans())
@settings(deadline=None)
def test_only_the_target_validates_and_none_of_its_groups_trains_elsewhere(
    samples: Samples, seed: int, shared: bool
) -> None:
    rng = np.random.default_rng(seed)
    inside = rng.random(len(samples)) < 0.5
    if not shared:
        prefixed = [f"{here}/{group}" for here, group in zip(inside, samples.groups, strict=True)]
        samples = replace(samples, groups=np.array(prefixed, dtype=object))
    assume(len(set(samples.groups[inside])) > 1)
    try:
        split = among(samples, inside, lambda part: hold_out(part, 0.3, seed))
        alone = hold_out(samples.take(np.flatnonzero(inside)), 0.3, seed)
    except UserError:
        return
    assert inside[split.val].all()
    assert set(split.val) == set(np.flatnonzero(inside)[alone.val])
    assert not set(samples.groups[split.val]) & set(samples.groups[split.train])
    left = ~np.isin(np.arange(len(samples)), np.concatenate([split.train, split.val]))
    assert not (left & ~np.isin(samples.groups.astype(str), samples.groups[split.val].astype(str))).any()
    assert (np.diff(split.train) > 0).all()
    num = len(set(samples.groups[split.train[inside[split.train]]]))
    fewer = limit_groups(samples, split, max(1, num - 1), seed, inside)
    assert len(set(samples.groups[fewer.train[inside[fewer.train]]])) == max(1, num - 1)
    assert set(fewer.train[~inside[fewer.train]]) == set(split.train[~inside[split.train]])


def test_what_another_source_keeps_from_training_does_not_train() -> None:
    samples = people(8)
    inside = np.arange(len(samples)) < 28
    sides = np.where(inside, MISSING, 0)
    sides[28:35], sides[35:42] = SIDES.index("val"), SIDES.index("test")
    samples = replace(samples, sides=sides)
    split = among(samples, inside, lambda part: hold_out(part, 0.3, 0))
    assert set(split.train) == set(np.arange(56)) - set(split.val) - set(range(28, 42))
