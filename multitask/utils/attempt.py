"""A name for each attempt of a launch.

Where torchrun begins a launch again, by ``--max-restarts`` or as machines come and go, it hands its processes the store
of the attempt before, in which is still what that one wrote: addresses at which nobody listens any more. Its number of
the attempt (TORCHELASTIC_RESTART_COUNT) need not be the same on all machines.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

_LEADER = "leader"
_LOOK_S = 0.05


def name_attempt(store: Any, rank: int, size: int, wait_s: float) -> str:
    """A name that the processes of this attempt have in common, and that no other attempt has.

    Rank 0 makes it, and confirms it to those that answer to it; a rank that answered to the name of an earlier rank 0
    is not among those that this one confirmed, and answers again.

    Args:
        store: of ``torch.distributed``, which all of them have.
        rank: of this process.
        size: how many there are.
        wait_s: how long to wait, in seconds, for the others.

    Raises:
        RuntimeError: one of the others did not come within the time.
    """
    own = uuid4().hex
    if rank == 0:
        store.set(_LEADER, own)
        answers = [f"{own}/{other}" for other in range(1, size)]
        store.wait(answers, timedelta(seconds=wait_s))
        store.set(f"{own}/all", b" ".join(store.get(answer) for answer in answers))
        return own
    leader, until = "", time.monotonic() + wait_s
    while time.monotonic() < until:
        if (found := store.get(_LEADER).decode()) != leader:
            leader = found
            store.set(f"{leader}/{rank}", own)
        if store.check([f"{leader}/all"]) and own.encode() in store.get(f"{leader}/all"):
            return leader
        time.sleep(_LOOK_S)
    raise RuntimeError(f"rank 0 did not come within {wait_s:g} s")
