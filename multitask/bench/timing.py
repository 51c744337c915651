"""Two ways of doing the same, timed side by side: what a machine is worth cancels out in the ratio."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle

import torch


@dataclass(frozen=True)
class Measurement:
    """Two ways of doing the same, side by side.

    Attributes:
        name: what was measured.
        ratio: our speed over the other's; the median over the rounds.
        low: a quarter of the rounds are below; None where there was one round.
        high: a quarter are above.
        bound: what the ratio should at least be; None: there is no bound.
        ours: our speed, the median, in ``unit``.
        other: likewise.
        unit: of both.
        note: what else should be known.
    """

    name: str
    ratio: float
    low: float | None
    high: float | None
    bound: float | None
    ours: float
    other: float
    unit: str = "images/s"
    note: str = ""


def side_by_side(
    name: str,
    bound: float | None,
    amount: int,
    ours: Callable[[], object],
    other: Callable[[], object],
    rounds: int,
    unit: str = "images/s",
    repeats: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Measurement:
    """Times two ways of doing the same in turns.

    Args:
        name: what is measured.
        bound: what the ratio of the speeds should at least be; None: there is no bound.
        amount: how much either does at a time.
        ours: one way.
        other: the other.
        rounds: turns of each.
        unit: of the speeds, amount per second.
        repeats: how often ``ours`` does that amount at a time, where it is too fast to be timed once.
        clock: in seconds; ``time.process_time`` for work on one core, which then may be shared with others' work.
    """

    def timed(work: Callable[[], object]) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        started = clock()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return clock() - started

    timed(ours), timed(other)  # both once unmeasured: caches, memory pools, threads
    took = []
    for number in range(rounds):
        # Who goes first alternates, so that neither always follows the other's heat.
        if number % 2:
            late = timed(other)
            took.append((timed(ours) / repeats, late))
        else:
            took.append((timed(ours) / repeats, timed(other)))
    return of_speeds(name, bound, [(amount / mine, amount / theirs) for mine, theirs in took], unit)


def of_speeds(
    name: str, bound: float | None, speeds: Sequence[tuple[float, float]], unit: str = "images/s"
) -> Measurement:
    """The measurement of speeds that were taken side by side.

    Args:
        name: what was measured.
        bound: what the ratio should at least be; None: there is no bound.
        speeds: our speed and the other's, a round each.
        unit: of both.
    """
    ratios = [mine / theirs for mine, theirs in speeds]
    mine, theirs = (statistics.median(side) for side in zip(*speeds, strict=True))
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return Measurement(name, statistics.median(ratios), low, high, bound, mine, theirs, unit)


Work = Callable[[], object]


def built_in_both_orders(ours: Callable[[], Work], other: Callable[[], Work]) -> tuple[Work, Work]:
    """Two ways of doing the same, each built twice, which then takes turns.

    Of two networks the one that is built first is slower by up to a fiftieth, whatever it is. So they are built in the
    order 1 2 2 1.

    Args:
        ours: builds one way.
        other: builds the other.
    """
    first, second, third, fourth = ours(), other(), other(), ours()
    mine, theirs = cycle((first, fourth)), cycle((second, third))
    return lambda: next(mine)(), lambda: next(theirs)()


@contextmanager
def computing(device: torch.device) -> Iterator[Callable[[], float]]:
    """The clock, in seconds, that tells what a network's steps cost where other work may run beside them.

    On a CPU that is the processor time of one core: the time on the wall of two ways that cost the same differs by up
    to a tenth there, as others' work comes and goes. On a GPU it is the time on the wall.
    """
    if device.type != "cpu":
        yield time.perf_counter
        return
    with one_core():
        yield time.process_time


@contextmanager
def one_core() -> Iterator[None]:
    """Keeps this thread, and those that it starts, to one core."""
    threads, cores = torch.get_num_threads(), os.sched_getaffinity(0)
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
        torch.set_num_threads(threads)
