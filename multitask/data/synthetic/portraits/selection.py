"""The people of the set: those of the table in a random order, to a mix of genders and ages if one is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from multitask.data.synthetic.layout import MIDDLE_AGE, OLD_AGE, quarter
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


def choose_people(
    portraits: Sequence[Portrait],
    locate: Callable[[Sequence[Portrait]], list[Points | None]],
    num_train: int | None,
    num_eval: int | None,
    mix: Sequence[float] | None,
    seed: Sequence[int],
    found: Callable[[int], None],
) -> Choice:
    """Chooses people until there are enough with a face.

    Args:
        portraits: the table's.
        locate: the landmarks of some portraits, None where there is no face.
        num_train: how many train; None: all that are not in eval.
        num_eval: how many others are in eval; None: a quarter as many as train.
        mix: weights of ``CELLS``, of those who train and of those in eval; None: as the table has them.
        seed: of the order.
        found: called with how many were looked at.

    Raises:
        UserError: there are too few.
    """
    order = [portraits[i] for i in np.random.default_rng(seed).permutation(len(portraits))]
    everybody = num_train is None
    if num_train is None:
        num_eval = max(1, round(len(order) / 5)) if num_eval is None else num_eval
        num_train = len(order) - num_eval
    elif num_eval is None:
        num_eval = quarter(num_train)
    train, held_out = quotas(num_train, mix), quotas(num_eval, mix)
    choice, looked = Choice(), 0
    while order and (any(train.values()) or any(held_out.values())):
        batch, order = _next(order, {cell: train[cell] + held_out[cell] for cell in train}, mix is not None)
        if not batch:
            break
        for portrait, points in zip(batch, locate(batch), strict=True):
            cell = cell_of(portrait) if mix is not None else None
            if points is None:
                choice.faceless.append(portrait)
            elif held_out[cell]:  # first: of everybody, those without a face are missing among those who train
                held_out[cell] -= 1
                choice.eval.append(Chosen(portrait, points))
            else:
                train[cell] -= 1
                choice.train.append(Chosen(portrait, points))
        looked += len(batch)
        found(looked)
    if held_out != quotas(0, mix) or not choice.train or (train != quotas(0, mix) and not everybody):
        raise UserError(_too_few(choice, num_train, num_eval, {c: train[c] + held_out[c] for c in train}))
    return choice


def _next(order: list[Portrait], wanted: dict[int | None, int], by_cell: bool) -> tuple[list[Portrait], list[Portrait]]:
    """The next people to look at, each of whom is needed if there is a face, and those who are left."""
    left = dict(wanted)
    batch: list[Portrait] = []
    rest: list[Portrait] = []
    for portrait in order:
        cell = cell_of(portrait) if by_cell else None
        if left[cell] and len(batch) < _BATCH:
            left[cell] -= 1
            batch.append(portrait)
        else:
            rest.append(portrait)
    return batch, rest


def _too_few(choice: Choice, num_train: int, num_eval: int, lacking: dict[int | None, int]) -> str:
    asked = f"{num_train} people to train on and {num_eval} in eval"
    without = f"; of {len(choice.faceless)} no face was found" if choice.faceless else ""
    found = len(choice.train) + len(choice.eval)
    cells = ", ".join(f"{count} of {CELLS[cell]}" for cell, count in lacking.items() if cell is not None and count)
    missing = f"lacking {cells}" if cells else f"found {found}"
    return f"--people, --eval-people: the table must have {asked}, {missing}{without}"
