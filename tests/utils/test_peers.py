"""Processes of one machine, of which one is killed: the others end, and one of them says why."""

from __future__ import annotations

import os
import signal
import time

import pytest

import multitask.utils.peers as module
from multitask.errors import UserError
from tests.over_ranks import over_ranks

LONG_S = 100.0


def kill_itself() -> None:
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("killed", [0, 2])
def test_a_process_that_waits_without_end_is_ended_where_another_is_lost(
    killed: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In C++, where no signal is heard, as gloo may wait for one that was held up before it was killed."""
    monkeypatch.setattr(module, "_EVERY_S", 0.1)
    monkeypatch.setattr(module, "_GRACE_S", 1)

    def work(rank: int) -> None:
        import torch
        import torch.distributed as dist

        if rank == killed:
            kill_itself()
        if rank == 1:
            dist.recv(torch.zeros(1), src=2 - killed)
        time.sleep(LONG_S)

    began = time.monotonic()
    assert over_ranks(3, work, num_told=2) == ["code 2", "code 2"]
    assert time.monotonic() - began < LONG_S
    [line] = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert f"another process of this launch is gone, rank {killed}; finished epochs are saved" in line


def test_the_rest_tell_where_the_process_is_killed_that_keeps_their_store() -> None:
    def work(rank: int) -> None:
        import torch
        import torch.distributed as dist

        if rank == 0:
            kill_itself()
        dist.all_reduce(torch.zeros(1))

    lines = over_ranks(3, work, num_told=2)
    assert lines[0].startswith("UserError: rank 1: another process of this launch is gone")
    assert lines[1] == "exit 2"


def test_the_keeper_of_the_store_leaves_last_and_its_word_is_the_only_one() -> None:
    def work(rank: int) -> None:
        import torch
        import torch.distributed as dist

        if rank == 0:
            raise UserError("an image is gone")
        time.sleep(rank - 1)
        dist.all_reduce(torch.zeros(1))

    began = time.monotonic()
    assert over_ranks(3, work) == ["UserError: an image is gone", "exit 2", "exit 2"]
    assert time.monotonic() - began < module._STAY_S
