from __future__ import annotations

import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from multitask.errors import UserError
from multitask.study import pool as module
from multitask.study.messages import Lost
from multitask.study.pool import Pool, Worker


@pytest.fixture
def open_pool(tmp_path: Path) -> Iterator[Callable[..., Pool]]:
    pools: list[Pool] = []

    def make(num_workers: int = 1, grace_s: float = 60, gpus: bool = False) -> Pool:
        pools.append(Pool(num_workers, tmp_path / "workers.log", grace_s, gpus))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Starts a shell script where a worker is to be started."""

    def make(script: str) -> None:
        path = tmp_path / "stand-in"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(sys, "executable", str(path))

    return make


def lost(pool: Pool, seconds: float = 30) -> tuple[Worker, str]:
    """The next worker that is lost, and why."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for worker, message in pool.listen(0.05):
            assert isinstance(message, Lost)
            return worker, message.reason
    raise AssertionError("nobody was lost")


def environment(worker: Worker) -> dict[str, str]:
    """Of the stand-in once it runs: while a process turns into another program, the kernel shows it without any."""
    until = time.monotonic() + 30
    while not (found := psutil.Process(worker.process.pid).environ()):
        assert time.monotonic() < until
        time.sleep(0.01)
    return found


@pytest.mark.parametrize(("cores", "own", "expected"), [(4, None, None), (3, None, "1000"), (3, "7", "7")])
def test_workers_wait_for_each_other_shortly_only_where_there_are_more_threads_than_cores(
    open_pool: Callable[..., Pool],
    stand_in: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    own: str | None,
    expected: str | None,
) -> None:
    stand_in("exec sleep 60")
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    if own is not None:
        monkeypatch.setenv("GOMP_SPINCOUNT", own)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    pool = open_pool(2)
    assert [environment(worker).get("GOMP_SPINCOUNT") for worker in pool.workers] == [expected] * 2


@pytest.mark.parametrize(("threads", "workers", "each"), [(8, 2, "4"), (5, 2, "2"), (2, 3, "1")])
def test_workers_share_the_threads_of_the_launch(
    open_pool: Callable[..., Pool], stand_in: Callable[[str], None], threads: int, workers: int, each: str
) -> None:
    stand_in("exec sleep 60")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        pool = open_pool(workers)
    finally:
        torch.set_num_threads(before)
    assert [environment(worker)["OMP_NUM_THREADS"] for worker in pool.workers] == [each] * workers


def test_workers_take_a_gpu_each_in_turn(
    open_pool: Callable[..., Pool], stand_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in("exec sleep 60")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-8932f937,7")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    taken = [environment(worker)["CUDA_VISIBLE_DEVICES"] for worker in open_pool(3, gpus=True).workers]
    assert taken == ["5", "GPU-8932f937", "5"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    taken = [environment(worker)["CUDA_VISIBLE_DEVICES"] for worker in open_pool(3, gpus=True).workers]
    assert taken == ["0", "1", "0"]
    assert "CUDA_VISIBLE_DEVICES" not in environment(open_pool(1, gpus=False).workers[0])


def test_a_workers_output_goes_to_the_log(
    open_pool: Callable[..., Pool], stand_in: Callable[[str], None], tmp_path: Path
) -> None:
    stand_in("echo to the one; echo to the other >&2; exec sleep 60")
    open_pool(1)
    until = time.monotonic() + 30
    while (tmp_path / "workers.log").read_text() != "to the one\nto the other\n":
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_killed_worker_is_told_and_replaced(open_pool: Callable[..., Pool], stand_in: Callable[[str], None]) -> None:
    stand_in("exec sleep 60")
    pool = open_pool(2)
    first, second = pool.workers
    second.process.send_signal(signal.SIGKILL)
    worker, reason = lost(pool)
    assert worker is second
    assert reason == "the worker was killed by SIGKILL (out of memory, perhaps)"
    assert pool.workers[0] is first
    assert pool.workers[1].number == 1
    assert pool.workers[1].process.poll() is None
    assert pool.workers[1].process.pid != second.process.pid
    pool.workers[1].process.send_signal(signal.SIGTERM)
    assert lost(pool)[1] == "the worker was killed by SIGTERM"


def test_a_worker_without_a_sign_of_life_is_ended(
    open_pool: Callable[..., Pool], stand_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_START_S", 0.2)
    stand_in("exec sleep 60")
    pool = open_pool(1)
    worker, reason = lost(pool)
    assert reason == "the worker showed no sign of life for 0.2 s"
    assert worker.process.returncode == -signal.SIGKILL
    assert not psutil.pid_exists(worker.process.pid)


def test_a_worker_that_stood_still_with_the_launch_is_not_ended(
    open_pool: Callable[..., Pool], stand_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    stand_in("exec sleep 60")
    pool = open_pool(1, grace_s=10)
    pool.workers[0].started = True

    def lost_after(seconds: float) -> list[Any]:
        nonlocal now
        now += seconds
        return [message for _, message in pool.listen(0)]

    assert not lost_after(3600)
    assert not [message for _ in range(10) for message in lost_after(1)]
    assert lost_after(1) == [Lost("the worker showed no sign of life for 10 s")]


def test_workers_that_end_as_they_start_end_the_launch(
    open_pool: Callable[..., Pool], stand_in: Callable[[str], None], tmp_path: Path
) -> None:
    stand_in("echo no module named torch >&2; exit 3")
    pool = open_pool(1)
    for _ in range(2):
        lost(pool)
    with pytest.raises(UserError) as error:
        lost(pool)
    log = tmp_path / "workers.log"
    assert str(error.value) == f"workers do not start (the worker ended with exit code 3); {log} says more"
    assert log.read_text().splitlines() == ["no module named torch"] * 3


def test_workers_that_somebody_kills_as_they_start_are_borne_longer(
    open_pool: Callable[..., Pool], stand_in: Callable[[str], None]
) -> None:
    stand_in("kill -9 $$")
    pool = open_pool(1)
    for _ in range(29):
        lost(pool)
    with pytest.raises(UserError, match="workers do not start"):
        lost(pool)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "the worker ended with exit code 0"),
        (1, "the worker ended with exit code 1"),
        (-signal.SIGKILL, "the worker was killed by SIGKILL (out of memory, perhaps)"),
        (-signal.SIGSEGV, "the worker was killed by SIGSEGV"),
        (-signal.SIGRTMIN - 1, f"the worker was killed by signal {signal.SIGRTMIN + 1}"),
    ],
)
def test_how_a_worker_ended_is_told_in_words(code: int, text: str) -> None:
    assert module._how_it_ended(code) == text


def test_a_closed_pool_leaves_no_process(open_pool: Callable[..., Pool], stand_in: Callable[[str], None]) -> None:
    stand_in("exec sleep 60")
    pool = open_pool(3)
    with closing(pool):
        pids = [worker.process.pid for worker in pool.workers]
        assert all(psutil.pid_exists(pid) for pid in pids)
    assert not any(psutil.pid_exists(pid) for pid in pids)
    pool.close()  # twice is no error


def test_what_is_sent_to_a_dead_worker_is_no_error(
    open_pool: Callable[..., Pool], stand_in: Callable[[str], None]
) -> None:
    stand_in("exit 0")
    pool = open_pool(1)
    worker: Any = pool.workers[0]
    worker.process.wait(30)
    worker.send(True)
    assert lost(pool)[0] is worker


def test_a_worker_imports_nothing_from_the_folder_it_is_started_in(
    open_pool: Callable[..., Pool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    for name in ("yaml", "random", "multiprocessing", "torch", "pickle"):
        (hostile / f"{name}.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'a').write('{name} ')")
    monkeypatch.chdir(hostile)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    pool = open_pool()
    until = time.monotonic() + 60
    while not pool.workers[0].idle:
        assert time.monotonic() < until
        assert not any(isinstance(message, Lost) for _, message in pool.listen(0.1))
    assert not (tmp_path / "mark").exists()
