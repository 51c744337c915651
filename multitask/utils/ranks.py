"""The processes of one launch, by ``torchrun`` or whatever sets its variables: their ranks, and what they share."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from multitask.errors import UserError, quoted

T = TypeVar("T")


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
def placed(here: Ranks) -> Iterator[None]:
    """A context in which ``ranks`` gives this place."""
    _ACTIVE.append(here)
    try:
        yield
    finally:
        _ACTIVE.pop()


def alone(here: Ranks) -> AbstractContextManager[None]:
    """A context in which ``ranks`` gives one process, which shares its machine with the others of its launch."""
    return placed(Ranks(local_rank=here.local_rank, local_size=here.local_size))


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
