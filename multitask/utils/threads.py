"""Threads that work for a generator, which may be left before its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def threads(num: int | None = None) -> Iterator[ThreadPoolExecutor]:
    """A pool; what has not begun when the block ends, by an error too, never begins.

    What has begun is waited for, but not where a generator is closed within the block: it may be the garbage collector
    that closes it, in any thread and in the middle of anything. Where that is the start of a thread, which in Python
    3.11 holds a lock that joining one needs, to wait would be for ever.

    Args:
        num: of threads; None: as many as this process may use cores.

    >>> def squares(numbers):
    ...     with threads(2) as pool:
    ...         yield from pool.map(lambda number: number**2, numbers)
    >>> list(squares([1, 2, 3]))
    [1, 4, 9]
    """
    pool = ThreadPoolExecutor(num or len(os.sched_getaffinity(0)))
    waits = True
    try:
        yield pool
    except GeneratorExit:
        waits = False
        raise
    finally:
        pool.shutdown(wait=waits, cancel_futures=True)
