"""Processes that come together, and end together."""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from unittest.mock import Mock

import pytest

from multitask.errors import UserError
from multitask.utils.process_group import _Word, joined
from multitask.utils.ranks import Ranks, ranks
from tests.over_ranks import over_ranks

WHOLE = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}


def test_without_a_launcher_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with joined() as here:
        assert here == ranks() == Ranks()
        assert here.gather(lambda: 3) == [3]
        assert here.from_main(lambda: 4) == 4


def test_who_cannot_join_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**WHOLE, "MASTER_PORT": "9"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="rank 1: cannot join the others at localhost:9"), joined(wait_s=1):
        pass


def test_no_default_of_a_function_keeps_the_group_and_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if f"{name}.".startswith("torch.distributed.nn.")]:
        monkeypatch.delitem(sys.modules, name)

    def kept(rank: int) -> list[str]:
        from torch.distributed import ProcessGroup
        from torch.distributed.nn import functional

        found = vars(functional).items()
        return [
            name
            for name, one in found
            if any(isinstance(d, ProcessGroup) for d in getattr(one, "__defaults__", None) or ())
        ]

    assert over_ranks(2, kept) == [[], []]


def test_the_time_to_wait_is_set_by_the_public_function_where_torch_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch 2.14 and later have one, and warn of the private one that it replaces."""
    import torch.distributed as dist
    from torch.distributed import distributed_c10d

    as_installed = getattr(dist, "set_timeout", None) or distributed_c10d._set_pg_timeout
    heard: list[timedelta] = []

    def set_timeout(timeout: timedelta) -> None:
        heard.append(timeout)
        as_installed(timeout)

    monkeypatch.setattr(dist, "set_timeout", set_timeout, raising=False)
    assert over_ranks(2, lambda rank: heard) == [[timedelta(hours=2)]] * 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_is_to_tell_of_the_end_is_not_interrupted_before_it_does(number: signal.Signals) -> None:
    class Store:
        def add(self, key: str, amount: int) -> int:
            os.kill(os.getpid(), number)  # of a launcher that has seen another process end
            return amount

    def hear(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {one: signal.signal(one, hear) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        _Word(Store(), Mock()).claim()
        os.kill(os.getpid(), number)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
