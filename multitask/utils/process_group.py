"""The group of the processes of one launch: how they come together, and how all of them end where one does."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from types import FrameType
from typing import Any

from multitask.errors import UserError
from multitask.utils.attempt import name_attempt
from multitask.utils.peers import Peers
from multitask.utils.ranks import Ranks, launched, placed

_LOST = ("closed by peer", "reset by peer", "broken pipe", "timed out", "timeout", "connection refused", "gloo", "nccl")
"""What the errors of a collective operation say of a process that is gone."""


_LONGEST = timedelta(hours=2)
"""Of an operation of all ranks: rank 0 may read, digest and write for long while the others wait. A process that is
gone is noticed at once."""

INTERRUPTED = 130
"""The exit code after an interrupt."""
RESUMABLE = "finished epochs are saved, and the same command goes on from them with --resume"


@contextmanager
def joined(wait_s: float = 300.0, left: str = RESUMABLE) -> Iterator[Ranks]:
    """Joins the processes of this launch for as long as the context lasts; without a launcher there is nothing to join.

    Of an error that ends them all one of them tells; the others end with code 2 and without a word. Of an interrupt
    likewise, with code 130, unless it is a launcher's because one of them was killed, which is an error. A process that
    does not hear of one that was killed on its machine, since it waits in C++, is ended where it stands (``Peers``).

    Args:
        wait_s: how long to wait, in seconds, for the others to begin.
        left: what there is where one of them is gone, for the error.

    Yields:
        The place of this process, which ``ranks`` gives meanwhile.

    Raises:
        UserError: a variable is wrong, the others are not there, or one of them is gone.
    """
    found = launched()
    if found.size == 1:
        yield found
        return
    store = _join(found, wait_s)
    peers = Peers(store, found.rank, found.size)
    word = _Word(store, peers)
    gone = f"rank {found.rank}: another process of this launch is gone"

    def end(lost: int) -> None:
        if word.is_mine:
            sys.stderr.write(f"error: {gone}, rank {lost}; {left}\n")
            sys.stderr.flush()
        peers.end()
        peers.stay()
        os._exit(2)

    with peers.guarded(end), placed(found):
        try:
            try:
                yield found
            except (UserError, OSError):
                word.claim()
                raise
            except RuntimeError as error:
                if not any(part in str(error).lower() for part in _LOST):
                    raise
                word.claim()
                raise UserError(f"{gone}; {left}") from None
        except (KeyboardInterrupt, SystemExit) as stop:  # maybe while another error is told
            if isinstance(stop, SystemExit) and stop.code != INTERRUPTED:
                raise
            lost = peers.lost()
            if lost is not None or isinstance(stop, KeyboardInterrupt):
                word.claim(INTERRUPTED)
            if lost is not None:
                raise UserError(f"{gone}, rank {lost}; {left}") from None
            raise
        finally:
            peers.end()
            import torch.distributed as dist

            dist.destroy_process_group()
            peers.stay()


def _join(found: Ranks, wait_s: float) -> Any:
    """The store of what the processes tell each other."""
    # Else whoever finds another gone prints the stack of that in C++, beside the one line.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

    import torch
    import torch.distributed as dist

    # Whose functions have the group of their import as a default: imported later, they keep it with its threads to the
    # end of the process, which one of those then may abort.
    import torch.distributed.nn.functional
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        store, _, _ = next(rendezvous("env://", found.rank, found.size, timeout=timedelta(seconds=wait_s)))
        store = PrefixStore(name_attempt(PrefixStore("multitask", store), found.rank, found.size, wait_s), store)
        # One that is gone before it is connected the others notice by the time alone. Before torch 2.9 gloo keeps to
        # the time that it began with, whatever it is told later.
        timeout = timedelta(seconds=wait_s) if hasattr(dist.ProcessGroup, "set_timeout") else _LONGEST
        dist.init_process_group(backend, store=store, rank=found.rank, world_size=found.size, timeout=timeout)
        seen: list[Any] = [None] * found.size
        dist.all_gather_object(seen, found.rank)
        if timeout != _LONGEST:
            _set_timeout(_LONGEST)
    except (RuntimeError, ValueError, OSError) as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"rank {found.rank}: cannot join the others at {where} (MASTER_ADDR, MASTER_PORT): {reason}"
        ) from None
    return PrefixStore("multitask", store)


def _set_timeout(timeout: timedelta) -> None:
    """Of all that the processes do together from now on; before torch 2.14 only a private function does that."""
    import torch.distributed as dist

    public: Any = getattr(dist, "set_timeout", None)
    if public is None:
        from torch.distributed.distributed_c10d import _set_pg_timeout

        public = _set_pg_timeout
    public(timeout)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    pass


class _Word:
    """Which of the processes tells why all of them end.

    Args:
        store: of ``torch.distributed``, which all of them have.
        peers: those of this machine.
    """

    def __init__(self, store: Any, peers: Peers) -> None:
        self._store = store
        self._peers = peers

    @cached_property
    def is_mine(self) -> bool:
        """Whether this one does, as the first that asks."""
        try:
            return bool(self._store.add("told", 1) == 1)
        except RuntimeError:  # its keeper, rank 0, is lost
            return self._peers.is_first_beside_keeper

    def claim(self, code: int = 2) -> None:
        """Goes on in the one that tells; ends the others with an exit code.

        They are no longer interrupted: a launcher does so once one has ended, which may be between the claim of a
        process and its word, and then nobody would tell.
        """
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, _do_nothing)  # Python warns of one that came just before it is ignored
        if not self.is_mine:
            raise SystemExit(code)
