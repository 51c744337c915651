"""The pool over an engine that refuses for a while."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest

from multitask.errors import UserError
from multitask.executors import Executor, ExecutorSettings, StartedWorker
from multitask.executors.messages import Lost
from multitask.executors.pool import RemotePool
from tests.executors.process_worker import ProcessWorker

_ROOT = Path(__file__).parents[2]


class Engine(Executor):
    host = "127.0.0.1"

    def __init__(self) -> None:
        self.down = False
        self.asked = 0
        self.started: list[ProcessWorker] = []

    def start(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> StartedWorker:
        self.asked += 1
        if self.down:
            raise UserError("executor: the engine is down")
        with log.open("ab") as file:
            inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": str(_ROOT)}
            process = subprocess.Popen([sys.executable, *words], env={**inherited, **environment}, stderr=file)
        self.started.append(ProcessWorker(process))
        return self.started[-1]

    def close(self) -> None:
        for worker in self.started:
            worker.process.wait()


ENGINE = Engine()


class Settings(ExecutorSettings):
    name: Literal["engine"] = "engine"

    def open(self, folder: Path) -> Executor:
        ENGINE.__init__()  # type: ignore[misc]
        return ENGINE


@pytest.fixture
def pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[RemotePool, Callable[..., None], list[str]]]:
    """Two workers that wait for jobs, how to hear them until something is so, and what was told."""
    for name, seconds in {"_REFUSED_S": 0.5, "_WAITS_S": 0.2, "_CHECK_S": 0.1, "_WORD_S": 0.2}.items():
        monkeypatch.setattr(f"multitask.executors.pool.{name}", seconds)
    said: list[str] = []
    pool = RemotePool(Settings(), "tests.executors.waiting_worker", 2, tmp_path / "jobs", 60, said.append)

    def listen(condition: Callable[[], object]) -> None:
        until = time.monotonic() + 100
        while not condition():
            assert time.monotonic() < until, said
            for _, message in pool.listen(0.05):
                said.append(message.reason if isinstance(message, Lost) else str(message))

    with closing(pool):
        pool.open()
        listen(lambda: len(pool.idle()) == 2)
        ENGINE.down = True
        ENGINE.started[0].process.kill()
        listen(lambda: "1 of 2 workers wait: executor: the engine is down" in said)
        yield pool, listen, said


def test_an_engine_that_refuses_is_asked_again_while_others_work(
    pool: tuple[RemotePool, Callable[..., None], list[str]],
) -> None:
    workers, listen, said = pool
    assert [worker.number for worker in workers.idle()] == [1]
    listen(lambda: ENGINE.asked > 4)
    ENGINE.down = False
    listen(lambda: len(workers.idle()) == 2)
    assert len(ENGINE.started) == 3
    assert said.count("1 of 2 workers wait: executor: the engine is down") == 1


def test_an_engine_that_refuses_ends_the_launch_once_none_works(
    pool: tuple[RemotePool, Callable[..., None], list[str]],
) -> None:
    _, listen, _ = pool
    ENGINE.started[1].process.kill()
    with pytest.raises(UserError, match="executor: the engine is down"):
        listen(lambda: False)


def test_a_worker_that_stood_still_with_the_launch_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead_s = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + ahead_s, sleep=time.sleep)
    monkeypatch.setattr("multitask.executors.pool.time", clock)
    here, there = Pipe()
    with closing(RemotePool(Settings(), "tests.executors.waiting_worker", 1, tmp_path / "jobs", 60)) as pool, there:
        pool.open()
        until = time.monotonic() + 100
        while not pool.idle():
            assert time.monotonic() < until
            list(pool.listen(0.05))
        pool.workers[0].connection = here  # at whose other end nobody says anything
        ahead_s += 3600
        assert not list(pool.listen(0))
        silent_since, found = ahead_s, []
        while not found:
            ahead_s += 0.5
            found = [message.reason for _, message in pool.listen(0)]
    assert found == [f"the worker on {os.uname().nodename} showed no sign of life for 60 s"]
    assert ahead_s - silent_since > 50
