from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from multitask.errors import UserError
from multitask.utils.in_turn import _Made, _next_round, in_turn
from multitask.utils.ranks import Ranks, ranks
from tests.over_ranks import over_ranks


def own(num: int, broken: tuple[int, ...] = ()) -> Iterator[int]:
    """This rank's of the numbers below ``num``."""
    for number in range(num)[ranks().rank :: ranks().size]:
        if number in broken:
            raise UserError(f"{number} is broken")
        yield number


def test_one_process_makes_all_when_they_are_asked_for() -> None:
    made = in_turn(own(10, broken=(2,)), Ranks())
    assert [next(made), next(made)] == [0, 1]
    with pytest.raises(UserError, match="2 is broken"):
        next(made)


def test_all_items_come_together_in_their_order() -> None:
    def work(rank: int) -> list[list[int]]:
        found = [
            [*in_turn(own(num), ranks(), everywhere=everywhere)] for num in (0, 1, 7, 200) for everywhere in (0, 1)
        ]
        assert [*in_turn(own(50), ranks(), most=3)] == ([*range(50)] if rank == 0 else [])
        return found

    first, *others = over_ranks(3, work)
    assert first == [[*range(num)] for num in (0, 1, 7, 200) for _ in range(2)]
    for found in others:
        assert found == [part for num in (0, 1, 7, 200) for part in ([], [*range(num)])]


@pytest.mark.parametrize("everywhere", [False, True])
def test_the_first_error_in_order_is_everyones(everywhere: bool) -> None:
    def work(rank: int) -> str:
        time.sleep(0.2 * rank)
        with pytest.raises(UserError) as error:
            # Of rank 1 the fourth, of rank 0 the fifth, of rank 2 a later one; and alike in one process.
            list(in_turn(own(200, broken=(10, 12, 101)), ranks(), everywhere=everywhere))
        return str(error.value)

    assert over_ranks(3, work) == ["10 is broken"] * 3


def test_rounds_grow_to_what_takes_a_second() -> None:
    def after(num: int, *seconds: float, most: int = 64) -> int | UserError:
        return _next_round([_Made([0] * num, None, each) for each in seconds], num, most)

    assert after(1, 0.001, 0.002) == 2
    assert after(40, 0.001, 0.002) == 64
    assert after(10, 0.5, 2.0) == 5
    assert after(1, 60.0) == 1
    assert after(1, 0.0, most=1) == 1
    assert _next_round([_Made([0, 0], None, 1.0), _Made([0], None, 1.0)], 2, 64) == 0


def test_a_rank_that_ends_ends_the_others() -> None:
    def work(rank: int) -> object:
        def made() -> Iterator[int]:
            yield from range(3)
            if rank == 1:
                raise UserError("the disk is full")  # in the place of whatever ends it outside of the items
            yield from range(1000)

        consume: Callable[[Iterator[int]], object] = list
        return consume(in_turn(made(), ranks()))

    assert sorted(over_ranks(2, work)) == ["UserError: the disk is full", "exit 2"]
