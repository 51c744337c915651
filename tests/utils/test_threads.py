from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from multitask.utils.threads import threads


class Work:
    """Two tasks: the first is done at once, the second when it is freed."""

    def __init__(self) -> None:
        self.at_work, self.free, self.done = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, number: int) -> int:
        if number:
            self.at_work.set()
            assert self.free.wait(60)
            self.done.set()
        return number

    def results(self) -> Iterator[int]:
        with threads(1) as pool:
            yield from pool.map(self, range(3))


def test_a_generator_that_is_closed_waits_for_no_thread_and_begins_nothing_more() -> None:
    """The garbage collector closed one as a thread began, whose lock the joining of a thread waited for."""
    work = Work()
    served = work.results()
    assert next(served) == 0
    assert work.at_work.wait(60)
    served.close()  # type: ignore[attr-defined]
    assert not work.done.is_set()
    work.free.set()
    assert work.done.wait(60)


def test_after_an_error_what_has_begun_is_waited_for() -> None:
    work = Work()

    def fail() -> None:
        with threads(1) as pool:
            pool.submit(work, 1)
            assert work.at_work.wait(60)
            threading.Timer(0.05, work.free.set).start()
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fail()
    assert work.done.is_set()
