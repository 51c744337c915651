"""Who is in the set: quotas, the mix, who is passed over, and that more people leave those in eval as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from multitask.data.synthetic.portraits.face import Points
from multitask.data.synthetic.portraits.selection import (
    CELLS,
    COMPETITION_MIX,
    Choice,
    Numbers,
    cell_of,
    check_enough,
    choose_people,
    quotas,
)
from multitask.data.synthetic.portraits.table import Portrait
from multitask.errors import UserError
from tests.data.synthetic.portraits.conftest import LANDMARKS


def people(count: int) -> list[Portrait]:
    ages = (20, 40, 70)
    return [
        Portrait(i, f"{i}.png", Path(f"{i}.png"), ("male", "female")[i % 2], ages[i % 3], None) for i in range(count)
    ]


def choose(count: int, train: int | None, held_out: int | None, mix: Sequence[float] | None = None, faceless: int = 0,
           seed: int = 0, found: Callable[[int], None] = lambda done: None) -> Choice:  # fmt: skip
    def locate(some: Sequence[Portrait]) -> list[Points | None]:
        return [None if portrait.row < faceless else LANDMARKS for portrait in some]

    return choose_people(people(count), locate, Numbers.of(count, train, held_out), mix, (seed, 0), found)


def test_cells() -> None:
    assert CELLS[0] == "male <30"
    assert CELLS[5] == "female >=60"
    assert [cell_of(person) for person in people(6)] == [0, 4, 2, 3, 1, 5]


def test_quotas_are_whole_and_add_up() -> None:
    assert quotas(2700, COMPETITION_MIX) == {0: 549, 1: 410, 2: 83, 3: 732, 4: 817, 5: 109}
    for total in range(40):
        assert sum(quotas(total, COMPETITION_MIX).values()) == total


def test_a_mix_is_met_by_those_who_train_and_those_in_eval() -> None:
    choice = choose(600, 60, 12, (3, 2, 1, 0, 4, 2))
    for chosen, size in ((choice.train, 60), (choice.eval, 12)):
        counts = Counter(cell_of(one.portrait) for one in chosen)
        assert counts == {cell: n * size // 12 for cell, n in enumerate((3, 2, 1, 0, 4, 2)) if n}


def test_who_has_no_face_is_replaced_and_named() -> None:
    choice = choose(100, 40, 10, faceless=30)
    assert (len(choice.train), len(choice.eval)) == (40, 10)
    assert 0 < len(choice.faceless) <= 30
    rows = [one.portrait.row for one in (*choice.train, *choice.eval)]
    assert len(set(rows)) == 50
    assert min(rows) >= 30


def test_everybody() -> None:
    choice = choose(100, None, None, faceless=7)
    assert (len(choice.train), len(choice.eval), len(choice.faceless)) == (73, 20, 7)


def test_more_to_train_on_leave_eval_as_it_is() -> None:
    few, many = choose(100, 10, 8), choose(100, 60, 8)
    assert few.eval[:8] == many.eval[:8]
    assert few.train == many.train[:10]


def test_seeds_differ() -> None:
    orders = {tuple(one.portrait.row for one in choose(50, 10, 2, seed=seed).train) for seed in range(5)}
    assert len(orders) == 5


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((20, None, None), Numbers(16, 4, True)),
        ((2, None, None), Numbers(1, 1, True)),
        ((20, None, 19), Numbers(1, 19, True)),
        ((20, 8, None), Numbers(8, 2, False)),
        ((20, 1, 25), Numbers(1, 25, False)),
    ],
)
def test_numbers(arguments: tuple[int, int | None, int | None], expected: Numbers) -> None:
    assert Numbers.of(*arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((20, None, 20), r"^--eval-people: must leave some of the table's 20 people to train on, found 20$"),
        ((20, None, 25), r"^--eval-people: must leave some of the table's 20 people to train on, found 25$"),
        ((1, None, None), r"^--portraits: must have 2 people, one to train on and one in eval, found 1$"),
        ((200_000, None, None), r"^--people: must be from 1 to 100000, found 160000$"),
    ],
)
def test_numbers_that_cannot_be(arguments: tuple[int, int | None, int | None], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Numbers.of(*arguments)


@pytest.mark.parametrize(
    ("train", "held_out", "total"),
    [(None, None, 100), (40, None, 50), (40, 10, 50)],
)
@pytest.mark.parametrize("faceless", [0, 30])
def test_progress_ends_at_the_total(train: int | None, held_out: int | None, total: int, faceless: int) -> None:
    done: list[int] = []
    choose(100, train, held_out, faceless=faceless, found=done.append)
    assert Numbers.of(100, train, held_out).total == total
    assert done[-1] == total
    assert done == sorted(done)


def test_thousands_who_are_missing_are_set_apart() -> None:
    with pytest.raises(
        UserError, match=r"must have 49,300 people to train on and 3 in eval, lacking 49,303 of male >=60$"
    ):
        check_enough(people(0), Numbers.of(20, 49_300, 3), (0, 0, 1, 0, 0, 0))


@pytest.mark.parametrize(
    ("arguments", "mix", "message"),
    [
        ((18, 3), None, r"must have 18 people to train on and 3 in eval, found 20$"),
        ((4, 4), (1, 0, 1, 0, 0, 0), r"4 in eval, lacking \d of male >=60$"),
    ],
)
def test_too_few_is_said_before_faces_are_looked_for(
    arguments: tuple[int, int], mix: Sequence[float] | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check_enough(people(20), Numbers.of(20, *arguments), mix)
    check_enough(people(20), Numbers.of(20, 3, 1), mix)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((20, 18, 3), r"must have 18 people to train on and 3 in eval, found 20$"),
        ((20, 4, 4, (0, 0, 1, 0, 0, 0)), r"lacking \d of male >=60$"),
        ((20, 16, 4, None, 2), r"found 18; of 2 no face was found$"),
        ((20, None, 5, None, 20), r"found 0; of 20 no face was found$"),
    ],
)
def test_too_few(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        choose(*arguments)


def test_each_has_the_landmarks_of_its_own_portrait() -> None:
    def locate(some: Sequence[Portrait]) -> list[Points | None]:
        return [None if portrait.row % 4 == 0 else LANDMARKS + portrait.row for portrait in some]

    choice = choose_people(people(40), locate, Numbers.of(40, 15, 5), None, (0, 0), lambda done: None)
    for one in (*choice.train, *choice.eval):
        assert (one.points == LANDMARKS + one.portrait.row).all()
