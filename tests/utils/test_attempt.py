"""Attempts of a launch over one store, as torchrun hands it on: real processes, which talk over gloo."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import torch
import torch.distributed as dist

from multitask.errors import UserError
from multitask.utils.attempt import name_attempt
from multitask.utils.process_group import joined
from multitask.utils.ranks import Ranks


@pytest.fixture
def store() -> dist.TCPStore:
    """Of the launcher, for all attempts."""
    return dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


def attempt(
    store: dist.TCPStore, work: Callable[[Ranks], Any], late: dict[int, float], wait_s: float, apart: bool = False
) -> list[Any]:
    """What each of two ranks gives; an error as text, None of one killed.

    One begins so many seconds late, or where they are ``apart`` rank 1 as rank 0 has ended.
    """
    context = multiprocessing.get_context("fork")
    found: Any = context.Queue()
    ended: Any = context.Event()

    def one(rank: int) -> None:
        place = {
            "RANK": rank,
            "WORLD_SIZE": 2,
            "LOCAL_RANK": rank,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": store.port,
        }
        os.environ.update({name: str(value) for name, value in place.items()}, TORCHELASTIC_USE_AGENT_STORE="True")
        time.sleep(late.get(rank, 0))
        if apart and rank == 1:
            assert ended.wait(60)
        try:
            with joined(wait_s) as here:
                result = work(here)
        except UserError as error:
            result = str(error)
        if rank == 0:
            ended.set()
        found.put((rank, result))

    processes = [context.Process(target=one, args=(rank,)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        process.kill()
    results = dict(found.get(timeout=10) for process in processes if process.exitcode == 0)
    return [results.get(rank) for rank in range(2)]


def sum_of_ranks(here: Ranks) -> float:
    total = torch.tensor(float(here.rank + 1))
    dist.all_reduce(total)
    return total.item()


def die(here: Ranks) -> float:
    if here.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return sum_of_ranks(here)


@pytest.mark.parametrize("late", [{1: 0.5}, {0: 0.5}])
def test_an_attempt_knows_nothing_of_the_one_before(store: dist.TCPStore, late: dict[int, float]) -> None:
    line, killed = attempt(store, die, {}, 30)
    assert line.startswith("rank 0: another process of this launch is gone; ")
    assert killed is None
    assert attempt(store, sum_of_ranks, late, 30) == [3.0, 3.0]
    # The first that tells of an end is the first of this attempt.
    line, killed = attempt(store, die, {}, 30)
    assert line.startswith("rank 0: another process of this launch is gone; ")


def test_an_attempt_that_ended_before_all_came_leaves_nothing_either(
    store: dist.TCPStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = rf"cannot join the others at 127.0.0.1:{store.port} (MASTER_ADDR, MASTER_PORT): "
    with monkeypatch.context() as patch:  # for each other alone, not for the store
        patch.setattr("multitask.utils.process_group.name_attempt", lambda *words: name_attempt(*words[:3], 1))
        line, other = attempt(store, sum_of_ranks, {}, 30, apart=True)
    assert line.startswith(f"rank 0: {where}")
    assert other == f"rank 1: {where}rank 0 did not come within 1 s"
    assert attempt(store, sum_of_ranks, {0: 0.5}, 30) == [3.0, 3.0]


@pytest.mark.skipif(
    not hasattr(dist.ProcessGroup, "set_timeout"), reason="before torch 2.9 gloo keeps its first timeout"
)
def test_a_process_that_is_gone_before_it_is_connected_is_not_waited_for(
    store: dist.TCPStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def named_and_gone(shared: Any, rank: int, size: int, wait_s: float) -> str:
        name = name_attempt(shared, rank, size, 60)
        if rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return name

    monkeypatch.setattr("multitask.utils.process_group.name_attempt", named_and_gone)
    line, killed = attempt(store, sum_of_ranks, {}, 5)
    assert line.startswith(f"rank 0: cannot join the others at 127.0.0.1:{store.port} (MASTER_ADDR, MASTER_PORT): ")
    assert killed is None


def test_once_they_are_connected_they_wait_for_longer(store: dist.TCPStore) -> None:
    def late(here: Ranks) -> float:
        time.sleep(14 * here.rank)
        return sum_of_ranks(here)

    assert attempt(store, late, {}, 12) == [3.0, 3.0]


def test_a_single_process_waits_for_nobody(store: dist.TCPStore) -> None:
    store.set_timeout(timedelta(seconds=1))
    assert name_attempt(store, 0, 1, 1) != name_attempt(store, 0, 1, 1)
