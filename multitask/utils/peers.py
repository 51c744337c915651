"""The other processes of a launch that are on this machine, of which one may be killed."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Any


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

    def lost(self) -> int | None:
        """The rank of a process of this machine that is gone, and did not say that it ends; None: none is known of."""
        for rank, process in self._processes.items():
            if rank != self._rank and not _runs(process):
                with suppress(RuntimeError):
                    if not self._store.check([_ended(rank)]):
                        return rank
        return None


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
