"""Ranks that work by themselves, and hear of each other's end."""

from __future__ import annotations

import os
import signal
import time

import pytest

import multitask.utils.apart as module
from multitask.errors import UserError
from multitask.utils.apart import apart
from multitask.utils.ranks import Ranks, ranks
from tests.over_ranks import over_ranks

LONG_S = 100.0


def test_each_rank_works_as_one_process_with_its_place_on_the_machine() -> None:
    def work(rank: int) -> tuple[list[tuple[int, Ranks]], Ranks]:
        return apart(ranks(), lambda: (rank, ranks())), ranks()

    found = over_ranks(4, work, local_size=2)
    expected = [(rank, Ranks(0, 1, rank % 2, 2)) for rank in range(4)]
    assert found == [(expected, Ranks(rank, 4, rank % 2, 2)) for rank in range(4)]
    assert apart(Ranks(), lambda: ranks()) == [Ranks()]


def test_ranks_that_are_one_process_of_their_machine_come_together_again() -> None:
    # What they are meanwhile is what a process without a launcher is.
    assert over_ranks(2, lambda rank: (apart(ranks(), ranks), ranks().size), local_size=1) == [([Ranks()] * 2, 2)] * 2


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_of_one_rank_interrupts_the_others_and_is_told_once(failing: int) -> None:
    interrupted = []

    def work(rank: int) -> None:
        def make() -> None:
            if rank == failing:
                raise UserError("an image is gone")
            try:
                time.sleep(LONG_S)
            except KeyboardInterrupt:
                interrupted.append(rank)
                raise

        try:
            apart(ranks(), make)
        finally:
            assert interrupted == [rank] * (rank != failing)

    began = time.monotonic()
    assert sorted(over_ranks(3, work)) == ["UserError: an image is gone", "exit 2", "exit 2"]
    assert time.monotonic() - began < LONG_S


def test_work_that_an_interrupt_does_not_end_is_interrupted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is raised while an object is deleted is ignored: so a rank slept on though another was gone."""
    monkeypatch.setattr(module, "_AGAIN_S", 0.2)

    class Slow:
        def __del__(self) -> None:
            time.sleep(LONG_S)

    def work(rank: int) -> None:
        def make() -> None:
            if rank == 0:
                raise UserError("an image is gone")
            Slow()
            time.sleep(LONG_S)

        apart(ranks(), make)

    began = time.monotonic()
    assert sorted(over_ranks(2, work)) == ["UserError: an image is gone", "exit 2"]
    assert time.monotonic() - began < LONG_S


@pytest.mark.parametrize("waiting", [False, True])
def test_a_rank_that_is_gone_ends_the_others_who_work_or_wait(waiting: bool) -> None:
    def work(rank: int) -> None:
        def make() -> None:
            if rank == 1:
                time.sleep(1)
                os.kill(os.getpid(), signal.SIGKILL)
            if not waiting:
                time.sleep(LONG_S)

        apart(ranks(), make)

    began = time.monotonic()
    lines = sorted(over_ranks(3, work, num_told=2))
    assert lines[0].endswith("another process of this launch is gone; finished epochs are saved, and the same command "
                             "goes on from them with --resume")  # fmt: skip
    assert lines[1] == "exit 2"
    assert time.monotonic() - began < LONG_S


def test_an_interrupt_of_its_own_is_one() -> None:
    def work(rank: int) -> None:
        def make() -> None:
            if rank == 0:
                signal.raise_signal(signal.SIGINT)
            time.sleep(LONG_S)

        apart(ranks(), make)

    assert over_ranks(2, work)[0] == "KeyboardInterrupt: "


def test_an_interrupt_of_all_is_one_for_those_too_that_are_held_up_until_another_is_gone() -> None:
    """As of Ctrl-C, which all processes of a terminal get: such a one ended with code 2."""

    def work(rank: int) -> None:
        def make() -> None:
            if rank == 1:  # which heeds its own as the other's end is known
                signal.signal(module._SIGNAL, lambda *_: signal.raise_signal(signal.SIGINT))
            else:
                signal.raise_signal(signal.SIGINT)
            time.sleep(LONG_S)

        apart(ranks(), make)

    assert over_ranks(2, work) == ["KeyboardInterrupt: ", "exit 130"]
