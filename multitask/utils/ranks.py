"""The processes of one launch, by ``torchrun`` or whatever sets its variables: their ranks, and what they share."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from types import FrameType
from typing import Any, TypeVar

from multitask.errors import UserError, quoted
from multitask.utils.attempt import name_attempt
from multitask.utils.peers import Peers

T = TypeVar("T")

_LOST = ("closed by peer", "reset by peer", "broken pipe", "timed out", "timeout", "connection refused", "gloo", "nccl")
"""What the errors of a collective operation say of a process that is gone."""


_LONGEST = timedelta(hours=2)
"""Of an operation of all ranks: rank 0 may read, digest and write for long while the others wait. A process that is
gone is noticed at once."""


@dataclass(frozen=True)
class Ranks:
    """The place of this process among those of its launch.

    Attributes:
        rank: from 0.
        size: how many there are; 1 without a launcher.
        local_rank: the rank among those of this machine.
        local_size: how many there are on this machine, at least.

    >>> Ranks(rank=1, size=2).rows(5)
    slice(3, 5, None)
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def rows(self, num: int) -> slice:
        """Which of ``num`` rows are this rank's: parts one after the other, which differ by at most one row."""
        return self.rows_of(self.rank, num)

    def rows_of(self, rank: int, num: int) -> slice:
        """As ``rows``, of any rank."""
        each, longer = divmod(num, self.size)
        start = rank * each + min(rank, longer)
        return slice(start, start + each + (rank < longer))

    def gather(self, make: Callable[[], T]) -> list[T]:
        """What every rank makes, in the order of ranks, on each of them.

        Raises:
            UserError: of the lowest rank that raised one, on all of them.
        """
        if self.size == 1:
            return [make()]
        import torch.distributed as dist

        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, _attempt(make))
        return [_made(one) for one in found]

    def from_main(self, make: Callable[[], T]) -> T:
        """What rank 0 makes, on all ranks; the others do not call ``make``.

        Raises:
            UserError: rank 0 raised one.
        """
        if self.size == 1:
            return make()
        import torch.distributed as dist

        found = [_attempt(make) if self.is_main else None]
        dist.broadcast_object_list(found, src=0)
        made: T = _made(found[0])
        return made

    def main_first(self, make: Callable[[], T]) -> T:
        """What this rank makes, once rank 0 has made its own: what that leaves on disk the others find.

        Raises:
            UserError: rank 0 raised one, or this rank did.
        """
        made: list[T] = []
        self.from_main(lambda: made.append(make()))
        return made[0] if made else make()


def _attempt(make: Callable[[], Any]) -> tuple[Any, bytes | None]:
    try:
        return make(), None
    except UserError as error:
        return None, pickle.dumps(error)


def _made(attempt: Any) -> Any:
    value, error = attempt
    if error is not None:
        raise pickle.loads(error)
    return value


_ACTIVE = [Ranks()]


def ranks() -> Ranks:
    """The place of this process among those that have ``joined``; the only one where none have."""
    return _ACTIVE[-1]


@contextmanager
def alone(here: Ranks) -> Iterator[None]:
    """A context in which ``ranks`` gives one process, which shares its machine with the others of its launch."""
    _ACTIVE.append(Ranks(local_rank=here.local_rank, local_size=here.local_size))
    try:
        yield
    finally:
        _ACTIVE.pop()


def launched(variables: Mapping[str, str] | None = None) -> Ranks:
    """The place of this process by its launcher's variables; the only one where there are none.

    Args:
        variables: None: those of the environment.

    Raises:
        UserError: one is missing or wrong.

    >>> launched({"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "here", "MASTER_PORT": "29500"})
    Ranks(rank=1, size=4, local_rank=1, local_size=2)
    >>> launched({})
    Ranks(rank=0, size=1, local_rank=0, local_size=1)
    """
    variables = os.environ if variables is None else variables
    if not variables.get("RANK"):  # a scheduler's own WORLD_SIZE launches nothing by itself
        return Ranks()
    rank, size = (_number(variables, name) for name in ("RANK", "WORLD_SIZE"))
    # Some platforms set the others for a single process too, without this.
    local_rank = 0 if size == 1 and not variables.get("LOCAL_RANK") else _number(variables, "LOCAL_RANK")
    if size < 1:
        raise UserError(f"WORLD_SIZE: must be at least 1, found {size}")
    if rank >= size:
        raise UserError(f"RANK: must be less than WORLD_SIZE ({size}), found {rank}")
    if local_rank > rank:
        raise UserError(f"LOCAL_RANK: must be at most RANK ({rank}), found {local_rank}")
    local_size = local_rank + 1
    if size > 1:
        if variables.get("LOCAL_WORLD_SIZE"):  # not every launcher says it
            local_size = _number(variables, "LOCAL_WORLD_SIZE")
        if not local_rank < local_size <= size:
            raise UserError(
                f"LOCAL_WORLD_SIZE: must be above LOCAL_RANK ({local_rank}) and at most WORLD_SIZE ({size}), found "
                f"{local_size}"
            )
        if not variables.get("MASTER_ADDR"):
            raise UserError(f"MASTER_ADDR: must name the machine of rank 0, since WORLD_SIZE is {size}; found nothing")
        port = _number(variables, "MASTER_PORT")
        if not 0 < port < 65_536:
            raise UserError(f"MASTER_PORT: must be from 1 to 65535, found {port}")
    return Ranks(rank, size, local_rank, local_size)


def _number(variables: Mapping[str, str], name: str) -> int:
    text = variables.get(name, "")
    if not (text.isascii() and text.isdecimal()):
        found = quoted(text) if text else "nothing"
        raise UserError(f"{name}: must be a whole number, as torchrun sets it, found {found}")
    return int(text)


def launcher_words() -> list[str]:
    """What a command begins with that is to be launched as this one was: that of torchrun, where it is known.

    >>> launcher_words()
    ['multitask']
    """
    found = launched()
    if found.size == 1 or "TORCHELASTIC_RUN_ID" not in os.environ:
        return ["multitask"]
    nodes = found.size // found.local_size
    machines = ["--nnodes", str(nodes), "..."] if nodes > 1 else []
    return ["torchrun", *machines, "--nproc-per-node", str(found.local_size), "-m", "multitask"]


def refuse_several(command: str) -> None:
    """Refuses several processes for a command that works in one.

    Raises:
        UserError: there are several; from rank 0 alone, the others end without a word.
    """
    found = launched()
    if found.size == 1:
        return
    if not found.is_main:
        raise SystemExit(2)
    raise UserError(
        f"multitask {command}: works in one process, but WORLD_SIZE is {found.size}; start it without torchrun"
    )


INTERRUPTED = 130
"""The exit code after an interrupt."""
RESUMABLE = "finished epochs are saved, and the same command goes on from them with --resume"


@contextmanager
def joined(wait_s: float = 300.0, left: str = RESUMABLE) -> Iterator[Ranks]:
    """Joins the processes of this launch for as long as the context lasts; without a launcher there is nothing to join.

    Of an error that ends them all one of them tells; the others end with code 2 and without a word. Of an interrupt
    likewise, with code 130, unless it is a launcher's because one of them was killed, which is an error.

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

    with peers.guarded(end):
        _ACTIVE.append(found)
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
            _ACTIVE.remove(found)
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
