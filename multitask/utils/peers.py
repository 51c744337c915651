"""The other processes of a launch that are on this machine, of which one may be killed."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

_EVERY_S = 1.0
"""Between two looks at the others."""
_GRACE_S = 15
"""How long a process may take to end by itself once another is lost; not counted while it stands still."""
_STAY_S = 5.0
"""How long the keeper of the store waits for the others to leave."""


class Peers:
    """Who of a launch is gone without a word, as whoever is killed or crashes is.

    A launcher interrupts the processes that are left, so that they cannot tell by that alone whether one of them was
    lost or the launch was stopped on purpose.

    Args:
        store: of ``torch.distributed``, which all of them have.
        rank: of this process.
        size: how many there are.
    """

    def __init__(self, store: Any, rank: int, size: int) -> None:
        import torch.distributed as dist

        self._store = store
        self._rank = rank
        found: list[Any] = [None] * size
        dist.all_gather_object(found, (_place(), os.getpid()))
        self._processes = {other: pid for other, (place, pid) in enumerate(found) if place == _place()}

    def end(self) -> None:
        """Says that this process ends by itself."""
        with suppress(RuntimeError):  # the store's keeper is gone
            self._store.set(_ended(self._rank), "")

    def stay(self) -> None:
        """Waits a while for the others to end, where this is rank 0: the store, by which they tell who speaks, may end
        with it.
        """
        until = time.monotonic() + _STAY_S
        others = {rank: process for rank, process in self._processes.items() if rank > 0}
        while self._rank == 0 and time.monotonic() < until:
            if not any(_runs(process) and not self._has_ended(rank) for rank, process in others.items()):
                break
            time.sleep(0.02)

    def lost(self) -> int | None:
        """The rank of a process of this machine that is gone, and did not say that it ends; None: none is known of."""
        for rank, process in self._processes.items():
            if rank != self._rank and not _runs(process) and not self._has_ended(rank):
                return rank
        return None

    def _has_ended(self, rank: int) -> bool:
        try:
            return bool(self._store.check([_ended(rank)]))
        except RuntimeError:  # the keeper of the store, rank 0, is gone, though it stays until the others have left
            return rank != 0

    @property
    def is_first_beside_keeper(self) -> bool:
        """Whether this is the lowest rank of this machine but rank 0."""
        return self._rank == min((rank for rank in self._processes if rank > 0), default=self._rank)

    @contextmanager
    def guarded(self, end: Callable[[int], None]) -> Iterator[None]:
        """Ends this process where another is lost and the context does not end by that alone.

        What gloo sends to a process that was held up before it was killed may never return, nor may the end of its
        group: from C++, where no signal is heard.

        Args:
            end: told the rank that is lost, in a thread; it is to end the process.
        """
        over = threading.Event()

        def watch() -> None:
            looks = 0
            while not over.wait(_EVERY_S):
                lost = self.lost()
                looks = 0 if lost is None else looks + 1
                if lost is not None and looks * _EVERY_S > _GRACE_S:
                    end(lost)

        threading.Thread(target=watch, daemon=True).start()
        try:
            yield
        finally:
            over.set()


def _ended(rank: int) -> str:
    return f"ended/{rank}"


def _place() -> tuple[str, str]:
    """Of this process: those of the same place know each other's numbers."""
    try:
        return socket.gethostname(), os.readlink("/proc/self/ns/pid")
    except OSError:  # on systems without it
        return socket.gethostname(), ""


def _runs(process: int) -> bool:
    import psutil

    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
