"""Items that the processes of a launch make in turn, and that come together in their order, some at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from multitask.errors import UserError
from multitask.utils.ranks import Ranks

T = TypeVar("T")

_ROUND_S = 1.0
"""What a round should take: the longer, the less ranks wait for each other, and the later they hear of an error."""
MOST = 64
"""Items of each rank in a round, which the memory of one holds for all ranks."""


@dataclass(frozen=True)
class _Made(Generic[T]):
    """What a rank made in a round.

    Attributes:
        items: fewer than were asked for where there are no more.
        error: what the next one ended with.
        seconds: that it took.
    """

    items: list[T]
    error: UserError | None
    seconds: float


def in_turn(own: Iterable[T], here: Ranks, *, everywhere: bool = False, most: int = MOST) -> Iterator[T]:
    """All items in their order, of which every rank makes its own.

    What is held at a time is a round of items. Every rank is to iterate to the end, also where it is given none.

    Args:
        own: this rank's: of all items those at ``rank``, ``rank + size``, and so on, made as they are asked for.
        here: the place of this process.
        everywhere: whether every rank is given all items; else rank 0 is, and the others none.
        most: items of each rank in a round.

    Raises:
        UserError: the making of an item raised one; of the first such item, on all ranks.

    >>> list(in_turn("abc", Ranks()))
    ['a', 'b', 'c']
    """
    if here.size == 1:
        yield from own
        return
    import torch.distributed as dist

    remaining, num = iter(own), 1
    while num:
        made = _make(remaining, num)
        parts: list[Any] | None = [None] * here.size if everywhere or here.is_main else None
        if everywhere:
            dist.all_gather_object(parts, made)
        else:
            dist.gather_object(made, parts)
        verdict: list[Any] = [None if parts is None else _next_round(parts, num, most)]
        if not everywhere:
            dist.broadcast_object_list(verdict)
        if isinstance(verdict[0], UserError):
            raise verdict[0]
        for place in range(num):
            for part in parts or ():
                yield from part.items[place : place + 1]
        num = verdict[0]


def _make(remaining: Iterator[T], num: int) -> _Made[T]:
    began, items, error = time.monotonic(), [], None
    try:
        for item in islice(remaining, num):
            items.append(item)
    except UserError as raised:
        error = raised
    return _Made(items, error, time.monotonic() - began)


def _next_round(parts: list[_Made[Any]], num: int, most: int) -> int | UserError:
    """How many items each rank makes next, 0 where there are no more; or the first error."""
    failed = [part for part in parts if part.error is not None]
    if failed:
        error = min(failed, key=lambda part: len(part.items)).error  # of the lowest rank among equals
        assert error is not None
        return error
    if any(len(part.items) < num for part in parts):
        return 0
    seconds = max(part.seconds for part in parts)
    return max(1, min(most, 2 * num, int(num * _ROUND_S / max(seconds, 1e-6))))
