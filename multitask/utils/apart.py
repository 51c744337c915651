"""Work that each process of a launch does by itself, while they watch whether the others still do."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from multitask.errors import UserError
from multitask.utils.ranks import Ranks, alone

T = TypeVar("T")

_EVERY_S = 0.5
"""Between two exchanges, so how late a failure is noticed."""
_AGAIN_S = 10.0
"""Between two interrupts of work that goes on: Python ignores one that comes while an object is deleted."""
_SIGNAL = signal.SIGURG  # which does nothing where nobody handles it


class _Ended(KeyboardInterrupt):
    """Another rank has failed or is gone."""


def apart(here: Ranks, make: Callable[[], T]) -> list[T]:
    """What every rank makes as the only process there is, in the order of ranks, on each of them.

    It may take any time. Where a rank fails or is gone, ``make`` ends on the others in a ``KeyboardInterrupt``, if it
    is in the main thread.

    Args:
        here: the place of this process; all of them call this.
        make: in which ``ranks`` gives one process, on this one's device.

    Raises:
        UserError: of the lowest rank that raised one, on all of them.
        RuntimeError: a rank is gone; ``joined`` makes one line of it.
    """
    if here.size == 1:
        return [make()]
    made: list[T] = []
    failed: list[UserError] = []
    with alone(here), _Watch(here.size).watching() as watch:
        try:
            made.append(make())
        except UserError as error:
            failed.append(error)
        except KeyboardInterrupt as stop:
            if not (watch.agreed or _first(stop)):
                raise
        watch.wait(bool(failed))

    def told() -> Any:
        if failed:
            raise failed[0]
        return made[0] if made else None  # where another failed, whose error is raised

    return here.gather(told)


def _first(stop: BaseException) -> bool:
    """Whether the end of another rank came first, of all the interrupts that led to this one."""
    chain = [stop]
    while chain[-1].__context__ is not None:
        chain.append(chain[-1].__context__)
    return isinstance([one for one in chain if isinstance(one, KeyboardInterrupt)][-1], _Ended)


class _Watch:
    """An exchange with the other ranks, over and over in a thread: of who is still at work, and who has failed.

    Args:
        size: how many ranks there are.

    Attributes:
        ended: whether nobody is at work any more, or should be: all are done, one has failed, or is gone.
    """

    def __init__(self, size: int) -> None:
        self.ended = False
        self._done = self._failed = 0
        self._size = size
        self._gone: Exception | None = None
        self._works = True
        self._over = threading.Event()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._exchange, daemon=True)
        self._main = threading.main_thread()

    @property
    def agreed(self) -> bool:
        """Whether it has ended, and all ranks know of that: none is gone."""
        return self.ended and self._gone is None

    @contextmanager
    def watching(self) -> Iterator[_Watch]:
        """Interrupts what is done in the context, in the main thread, where another rank fails or is gone."""
        hears = threading.current_thread() is self._main
        before = signal.signal(_SIGNAL, self._hear) if hears else None
        self._thread.start()
        try:
            yield self
        finally:
            self._works = False
            self._over.set()
            self._hurry.set()
            if hears:
                signal.signal(_SIGNAL, before)

    def wait(self, failed: bool) -> None:
        """Waits until all ranks are done, or one has failed.

        Args:
            failed: whether this one has.

        Raises:
            RuntimeError: one is gone.
        """
        self._works = False
        self._done, self._failed = 1, int(failed)
        self._hurry.set()
        self._thread.join()
        if self._gone is not None:
            raise self._gone

    def _exchange(self) -> None:
        import torch
        import torch.distributed as dist

        while not self.ended and not self._over.is_set():
            states = torch.tensor([self._done, self._failed])
            try:
                dist.all_reduce(states)
            except (RuntimeError, ValueError) as error:  # the latter where this rank has left the launch meanwhile
                self._gone = error
            done, failed = states.tolist()
            self.ended = self._gone is not None or failed > 0 or done == self._size
            if not self.ended:
                self._hurry.wait(_EVERY_S)
        while self.ended and self._works:
            signal.pthread_kill(self._main.ident or 0, _SIGNAL)
            self._hurry.wait(_AGAIN_S)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.ended and self._works:
            raise _Ended
