"""The people of the set: those of the table in a random order, to a mix of genders and ages if one is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from multitask.data.synthetic.layout import MIDDLE_AGE, OLD_AGE, check_people, quarter
from multitask.data.synthetic.portraits.face import Points
from multitask.data.synthetic.portraits.table import Portrait
from multitask.errors import UserError

_BANDS = (f"<{MIDDLE_AGE}", f"{MIDDLE_AGE}-{OLD_AGE - 1}", f">={OLD_AGE}")
CELLS = tuple(f"{gender} {band}" for gender in ("male", "female") for band in _BANDS)
COMPETITION_MIX = (549.0, 410.0, 83.0, 732.0, 817.0, 109.0)
"""The competition's people by ``CELLS``."""
_BATCH = 256


@dataclass(frozen=True)
class Chosen:
    """A person of the set with the landmarks of the portrait."""

    portrait: Portrait
    points: Points


@dataclass(frozen=True)
class Choice:
    """Who trains, who is in eval, and who was passed over, since no face was found; each in a random order."""

    train: list[Chosen] = field(default_factory=list)
    eval: list[Chosen] = field(default_factory=list)
    faceless: list[Portrait] = field(default_factory=list)


@dataclass(frozen=True)
class Numbers:
    """How many people are chosen of a table.

    Attributes:
        train: how many train.
        eval: how many others are in eval.
        everybody: whether that is the whole table, so that those without a face are missing among those who train.
    """

    train: int
    eval: int
    everybody: bool

    @classmethod
    def of(cls, available: int, train: int | None, held_out: int | None) -> Numbers:
        """Those that are asked for.

        Args:
            available: how many people the table has.
            train: how many train; None: all that are not in eval.
            held_out: how many others are in eval; None: a quarter as many as train.

        Raises:
            UserError: one is out of its range, or nobody is left to train on.
        """
        if train is not None:
            held_out = quarter(train) if held_out is None else held_out
        elif available < 2:
            raise UserError(f"--portraits: must have 2 people, one to train on and one in eval, found {available}")
        else:
            held_out = max(1, round(available / 5)) if held_out is None else held_out
            if held_out >= available:
                raise UserError(
                    f"--eval-people: must leave some of the table's {available} people to train on, found {held_out}"
                )
        numbers = cls(available - held_out if train is None else train, held_out, train is None)
        check_people(numbers.train, numbers.eval)
        return numbers

    @property
    def total(self) -> int:
        """Of those who train and those in eval."""
        return self.train + self.eval


def cell_of(portrait: Portrait) -> int:
    """The place in ``CELLS``."""
    bands = (portrait.age >= MIDDLE_AGE) + (portrait.age >= OLD_AGE)
    return 3 * (portrait.gender == "female") + bands


def quotas(total: int, mix: Sequence[float] | None) -> dict[int | None, int]:
    """How many of each cell (None: of any) make up a total; rounded so that the largest remainders gain."""
    if mix is None:
        return {None: total}
    exact = total * np.array(mix) / sum(mix)
    counts = np.floor(exact).astype(int)
    counts[np.argsort(-(exact - counts), kind="stable")[: total - counts.sum()]] += 1
    return dict(enumerate(counts.tolist()))


def check_enough(portraits: Sequence[Portrait], numbers: Numbers, mix: Sequence[float] | None) -> None:
    """Checks that there are enough people, before any image of theirs is looked at.

    Raises:
        UserError: there would be too few even with a face in all of them.
    """
    there = Counter(_cell(portrait, mix) for portrait in portraits)
    wanted = Counter(quotas(numbers.train, mix)) + Counter(quotas(numbers.eval, mix))
    if lacking := wanted - there:
        raise UserError(_too_few(numbers, lacking, len(portraits), 0))


def choose_people(
    portraits: Sequence[Portrait],
    locate: Callable[[Sequence[Portrait]], list[Points | None]],
    numbers: Numbers,
    mix: Sequence[float] | None,
    seed: Sequence[int],
    found: Callable[[int], None],
) -> Choice:
    """Chooses people until there are enough with a face.

    Args:
        portraits: the table's.
        locate: the landmarks of some portraits, None where there is no face.
        numbers: how many.
        mix: weights of ``CELLS``, of those who train and of those in eval; None: as the table has them.
        seed: of the order.
        found: called with how many of ``numbers.total`` are done.

    Raises:
        UserError: there are too few.
    """
    order = [portraits[i] for i in np.random.default_rng(seed).permutation(len(portraits))]
    train, held_out = quotas(numbers.train, mix), quotas(numbers.eval, mix)
    choice = Choice()
    while order and (any(train.values()) or any(held_out.values())):
        batch, order = _next(order, {cell: train[cell] + held_out[cell] for cell in train}, mix)
        if not batch:
            break
        for portrait, points in zip(batch, locate(batch), strict=True):
            cell = _cell(portrait, mix)
            if points is None:
                choice.faceless.append(portrait)
            elif held_out[cell]:  # first: of everybody, those without a face are missing among those who train
                held_out[cell] -= 1
                choice.eval.append(Chosen(portrait, points))
            else:
                train[cell] -= 1
                choice.train.append(Chosen(portrait, points))
        found(len(choice.train) + len(choice.eval) + (len(choice.faceless) if numbers.everybody else 0))
    if any(held_out.values()) or not choice.train or (any(train.values()) and not numbers.everybody):
        lacking = {cell: train[cell] + held_out[cell] for cell in train}
        raise UserError(_too_few(numbers, lacking, len(choice.train) + len(choice.eval), len(choice.faceless)))
    return choice


def _cell(portrait: Portrait, mix: Sequence[float] | None) -> int | None:
    """Of which ``quotas`` a person is."""
    return None if mix is None else cell_of(portrait)


def _next(
    order: list[Portrait], wanted: dict[int | None, int], mix: Sequence[float] | None
) -> tuple[list[Portrait], list[Portrait]]:
    """The next people to look at, each of whom is needed if there is a face, and those who are left."""
    left = dict(wanted)
    batch: list[Portrait] = []
    rest: list[Portrait] = []
    for portrait in order:
        cell = _cell(portrait, mix)
        if left[cell] and len(batch) < _BATCH:
            left[cell] -= 1
            batch.append(portrait)
        else:
            rest.append(portrait)
    return batch, rest


def _too_few(numbers: Numbers, lacking: Mapping[int | None, int], found: int, faceless: int) -> str:
    asked = f"{numbers.train:,} people to train on and {numbers.eval:,} in eval"
    without = f"; of {faceless:,} no face was found" if faceless else ""
    cells = ", ".join(f"{count:,} of {CELLS[cell]}" for cell, count in lacking.items() if cell is not None and count)
    missing = f"lacking {cells}" if cells else f"found {found:,}"
    return f"--people, --eval-people: the table must have {asked}, {missing}{without}"
