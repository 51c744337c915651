"""Splits that keep a group together and every class's share the same on both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from multitask.data.dealing import assign_groups, in_order, take_share
from multitask.data.held_out import without_classes
from multitask.data.samples import SIDES, Samples
from multitask.data.settings import DataSettings
from multitask.errors import UserError
from multitask.labels import MISSING
from multitask.utils.seeds import derive
from multitask.utils.spelling import plural
from multitask.utils.strings import shared_strings


@dataclass(frozen=True, eq=False)
class Split:
    """Which samples train, validate and test; no group is in two of these, and a sample may be in none.

    Attributes:
        train: indices into the samples, ascending.
        val: likewise; may be empty.
        test: likewise; those that neither train nor pick anything.
        pick: likewise; those that pick the epoch, so that those who validate do not. Empty: those do.
    """

    train: NDArray[np.int64]
    val: NDArray[np.int64]
    test: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    pick: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def parts(self) -> dict[str, NDArray[np.int64]]:
        """The parts by name; ``test`` and ``pick`` only where there are any."""
        others = {name: part for name, part in (("test", self.test), ("pick", self.pick)) if len(part)}
        return {"train": self.train, "val": self.val, **others}

    @property
    def picks(self) -> str:
        """The name of the part that picks the epoch."""
        return "pick" if len(self.pick) else "val"

    def names(self, num: int, other: str) -> NDArray[np.object_]:
        """(N,) the part of each of ``num`` samples; ``other`` where it is in none."""
        named = np.full(num, other, dtype=object)
        for name, indices in self.parts().items():
            named[indices] = name
        return named

    def kept(self, indices: NDArray[np.int64]) -> Split:
        """The split of only the samples at ``indices``, which ascend.

        Raises:
            UserError: no sample is left to train, to validate or to test, of which there were some.
        """
        sides = []
        for name, side in (("train", self.train), ("validate", self.val), ("test", self.test)):
            left = np.flatnonzero(np.isin(indices, side))
            if len(side) and not len(left):
                raise UserError(f"data.corrections, or data.contradictions: drop every image that would {name}")
            sides.append(left)
        return Split(*sides)


def split_samples(
    settings: DataSettings, samples: Samples, given: Samples, kept: NDArray[np.int64], seed: int
) -> Split:
    """The split of samples.

    Groups are dealt as their given labels would have it. So a correction moves no group, and runs with and without it
    compare group by group.

    Args:
        settings: the ``data`` section.
        samples: those that no correction drops, with corrected labels.
        given: all of them before the corrections.
        kept: which of ``given`` the samples are, ascending.
        seed: the run's.

    Raises:
        UserError: a side is left empty, or the data does not have the groups or labels that the settings ask for.
    """
    seed = derive(seed if settings.split_seed is None else settings.split_seed, "split")

    def deal(rest: Samples) -> Split:
        if settings.folds is not None:
            return fold(rest, settings.fold, settings.folds, seed)
        return hold_out(rest, settings.val_fraction, seed)

    def of(part: Samples) -> Split:
        return deal(part) if part.sides is None else given_split(part, deal)

    validates = settings.source.validates(given)
    split = of(given) if validates is None else among(given, validates, of)
    if settings.test_folds is not None:
        split = with_test_fold(given, split, settings.test_fold, settings.test_folds, seed, validates)
    if len(kept) < len(given):
        split = split.kept(kept)
    if settings.held_out:
        space = samples.space
        unseen = space.cells(settings.held_out, "data.held_out") & space.possible
        split = replace(split, train=without_classes(samples, split.train, unseen))
    if settings.train_groups is not None:
        counted = None if validates is None else validates[kept]
        relabelled = replace(samples, labels=given.labels[kept])
        split = limit_groups(relabelled, split, settings.train_groups, seed, counted)
    if settings.pick_fraction:
        split = pick_groups(
            samples, split, settings.pick_fraction, seed, None if validates is None else validates[kept]
        )
    return split


def among(samples: Samples, validates: NDArray[np.bool_], split_of: Callable[[Samples], Split]) -> Split:
    """The split of some samples, with the others in training.

    Others that their source keeps from training do not, nor do those of a group that validates or tests.

    Args:
        samples: N samples.
        validates: (N,) bool, those that may validate and test.
        split_of: splits these.

    Raises:
        UserError: as of ``split_of``.
    """
    inside = np.flatnonzero(validates)
    split = split_of(samples.take(inside))
    train, val, test = (inside[part] for part in (split.train, split.val, split.test))
    unseen = samples.groups.isin(samples.groups[np.concatenate([val, test])])
    if samples.sides is not None:
        unseen |= ~np.isin(samples.sides, (MISSING, SIDES.index("train")))
    others = np.flatnonzero(~validates & ~unseen)
    return _asserted(samples, Split(np.union1d(train, others), val, test))


def hold_out(samples: Samples, val_fraction: float, seed: int) -> Split:
    """A split that keeps back about ``val_fraction`` of the groups; 0 keeps none.

    Raises:
        UserError: there are too few groups for both sides.
    """
    if val_fraction == 0:
        return Split(np.arange(len(samples)), np.empty(0, dtype=np.int64))
    validates = take_share(samples, val_fraction, seed)
    if validates.all() or not validates.any():
        empty = "train" if validates.any() else "validate"
        raise UserError(
            f"data.val_fraction: {val_fraction:g} of {plural(samples.num_groups, 'group', 'groups')} leaves none to "
            f"{empty}; one group "
            f"is {1 / samples.num_groups:.2g} of them"
        )
    return _split(validates, samples)


def fold(samples: Samples, index: int, count: int, seed: int) -> Split:
    """Fold ``index`` of ``count``: every group validates in exactly one of them.

    Raises:
        UserError: there are fewer groups than folds.
    """
    if samples.num_groups < count:
        raise UserError(f"data.folds: {count:,} were asked for, but {_there_are(samples.num_groups)}")
    return _split(assign_groups(samples, [1 / count] * count, seed) == index, samples)


def with_test_fold(
    samples: Samples,
    split: Split,
    index: int,
    count: int,
    seed: int,
    may_test: NDArray[np.bool_] | None = None,
) -> Split:
    """The split with fold ``index`` of ``count`` of those who would train as those who test; who tested does nothing.

    Over all folds every group that would train tests once, while the same groups validate.

    Args:
        samples: N samples.
        split: theirs.
        index: which fold tests.
        count: how many there are.
        seed: of the dealing.
        may_test: (N,) bool, the samples that may test; the others train, but for those of a group that tests; None:
            all.

    Raises:
        UserError: there are fewer groups that would train than folds.
    """
    dealt = split.train if may_test is None else split.train[may_test[split.train]]
    part = samples.take(dealt)
    if part.num_groups < count:
        raise UserError(f"data.test_folds: {count:,} were asked for, but {_there_are(part.num_groups)} to train")
    test = dealt[assign_groups(part, [1 / count] * count, derive(seed, "test")) == index]
    trains = ~samples.groups[split.train].isin(samples.groups[test])
    return _asserted(samples, Split(split.train[trains], split.val, test))


def limit_groups(
    samples: Samples, split: Split, num_groups: int, seed: int, counted: NDArray[np.bool_] | None = None
) -> Split:
    """The split with only so many groups to train; those that validate stay.

    The groups are dealt into halves, these into halves, and so on, which puts them in an order whose every beginning
    has about its share of each class. So with one seed the groups of a smaller number are among those of a larger one.

    Args:
        samples: N samples.
        split: theirs.
        num_groups: how many are to train.
        seed: of the dealing.
        counted: (N,) bool, the samples whose groups are limited, while the others train whatever the number; None: all.

    Raises:
        UserError: there are not that many.
    """
    limited = split.train if counted is None else split.train[counted[split.train]]
    train = samples.take(limited)
    if num_groups > train.num_groups:
        raise UserError(
            f"data.train_groups: {num_groups:,} were asked for, but there are {train.num_groups:,} to train"
        )
    order = in_order(train, np.arange(len(train)), seed)
    chosen = train.groups[order].numbers() < num_groups
    others = np.setdiff1d(split.train, limited)
    return replace(split, train=np.union1d(limited[order[chosen]], others))


def pick_groups(
    samples: Samples, split: Split, pick_fraction: float, seed: int, counted: NDArray[np.bool_] | None = None
) -> Split:
    """The split with a share of the groups that would train picking the epoch instead; those that validate stay.

    Args:
        samples: N samples.
        split: theirs.
        pick_fraction: the share.
        seed: of the dealing.
        counted: (N,) bool, the samples whose groups may pick; None: all.

    Raises:
        UserError: there are too few groups for both.
    """
    able = split.train if counted is None else split.train[counted[split.train]]
    picks = take_share(samples.take(able), pick_fraction, derive(seed, "pick"))
    pick = able[picks]
    # Images of the same groups from a source that only trains leave training too.
    picking = samples.groups.isin(samples.groups[pick])
    train = split.train[~picking[split.train]]
    if picks.all() or not picks.any():
        raise UserError(
            f"data.pick_fraction: {pick_fraction:g} of the "
            f"{plural(samples.take(able).num_groups, 'group', 'groups')} that train leaves "
            f"none to {'train' if len(pick) else 'pick'}"
        )
    return _asserted(samples, replace(split, train=train, pick=pick))


def given_split(samples: Samples, deal: Callable[[Samples], Split]) -> Split:
    """The split that the source says; what it says nothing of is dealt into those who train and who validate.

    Args:
        samples: with ``sides``.
        deal: splits the samples of which nothing is said.

    Raises:
        UserError: no sample is left to train or to validate, or a group is in two parts.
    """
    assert samples.sides is not None
    sides = samples.sides.copy()
    rest = np.flatnonzero(sides == MISSING)
    val_is_empty = False
    if len(rest):
        dealt = deal(samples.take(rest))
        sides[rest[dealt.train]], sides[rest[dealt.val]] = SIDES.index("train"), SIDES.index("val")
        val_is_empty = not len(dealt.val)  # which is what data.val_fraction asks for
    groups = [samples.groups[sides == side] for side in range(len(SIDES))]
    for one, other in combinations(range(len(SIDES)), 2):
        if both := shared_strings(groups[one], groups[other]):
            raise UserError(
                f"data.source: group {min(both)!r} is in {SIDES[one]} and in {SIDES[other]}; a group cannot be in both"
            )
    split = Split(*(np.flatnonzero(sides == side) for side in range(len(SIDES))))
    if not len(split.train) or not (len(split.val) or val_is_empty):
        lacking = "validates; splits: {val: []} has data.val_fraction of those that train do so"
        raise UserError(
            f"data.source: leaves one side empty: no group {lacking if len(split.train) else 'trains'} (the data has "
            f"{plural(samples.num_groups, 'group', 'groups')})"
        )
    return _asserted(samples, split)


def _there_are(num_groups: int) -> str:
    return f"there {'is' if num_groups == 1 else 'are'} {plural(num_groups, 'group', 'groups')}"


def _split(validates: NDArray[np.bool_], samples: Samples) -> Split:
    return _asserted(samples, Split(np.flatnonzero(~validates), np.flatnonzero(validates)))


def _asserted(samples: Samples, split: Split) -> Split:
    for one, other in combinations(split.parts().values(), 2):
        shared = shared_strings(samples.groups[one], samples.groups[other])
        assert not shared, f"groups in two parts of the split: {sorted(shared)[:3]}"
    return split
