"""submitit's executor, and the pool of its workers, over a real SLURM."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from multitask.errors import UserError
from multitask.executors import EXECUTORS
from multitask.executors.messages import Lost
from multitask.executors.pool import RemotePool
from multitask.testing import check_executor
from tests.executors.slurm import Slurm, started

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server() -> Iterator[Slurm]:
    """Shared by the tests of this file."""
    with started() as server:
        yield server


@pytest.fixture
def slurm(server: Slurm, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """The one whose jobs this process submits, with nothing in its queue."""
    monkeypatch.setenv("SLURM_CONF", str(server.conf))
    monkeypatch.setenv("PYTHONPATH", str(_ROOT))
    monkeypatch.setattr("multitask.executors.slurm_queue._LOOK_S", 0.2)
    assert not server.jobs()
    return server


class Workers:
    """Some workers of a launch, which are heard until something is so."""

    def __init__(self, folder: Path, num_workers: int, **settings: Any) -> None:
        self.lost: list[str] = []
        self.said: list[str] = []
        self.heard: list[Any] = []
        executor = EXECUTORS["submitit"](**{"partition": "cpu", **settings})
        executor.check()
        self.pool = RemotePool(
            executor, "tests.executors.waiting_worker", num_workers, folder / "jobs", 60, self.said.append
        )

    def listen(self, condition: Callable[[], Any], seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, (self.lost, self.said)
            for _, message in self.pool.listen(0.05):
                if isinstance(message, Lost):
                    self.lost.append(message.reason)
                else:
                    self.heard.append(message)

    def close(self) -> None:
        self.pool.close()


def test_the_contract(slurm: Slurm, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check_executor(EXECUTORS["submitit"](timeout_min=1), tmp_path)
    assert capfd.readouterr() == ("", "")


def test_workers_are_started_again_whatever_becomes_of_their_jobs(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # As where the launch is itself a job, of an array.
    for name, value in {"JOB_ID": "77", "ARRAY_JOB_ID": "70", "ARRAY_TASK_ID": "7", "MEM_PER_CPU": "9"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setattr("multitask.executors.pool._WAITS_S", 1.0)
    with closing(Workers(tmp_path, 3)) as workers:
        workers.pool.open()
        workers.listen(lambda: len(workers.pool.idle()) == 2 and workers.said)
        first, second, third = sorted(slurm.jobs(), key=int)
        assert workers.said == [f"1 of 3 workers wait: job {third} is pending (Resources)"]
        slurm.run("scancel", third)  # before it has begun
        workers.listen(lambda: workers.lost)
        assert workers.lost.pop() == f"job {third} ended: cancelled"
        slurm.run("scancel", first)
        workers.listen(lambda: workers.lost)
        assert workers.lost.pop().startswith(f"job {first} ended: cancelled; {tmp_path}/jobs/{first}_0_log.err says")
        slurm.run("scontrol", "requeue", second)
        workers.listen(lambda: workers.lost)
        workers.listen(lambda: len(workers.pool.idle()) == 2)
        workers.pool.idle()[0].send("environment")
        workers.listen(lambda: workers.heard)
        assert workers.heard[0]["SLURM_JOB_ID"] in slurm.jobs()
        assert not {"SLURM_ARRAY_JOB_ID", "SLURM_MEM_PER_CPU"} & set(workers.heard[0])
    slurm.wait_until_empty()
    assert capfd.readouterr() == ("", "")


def test_a_controller_that_is_gone_ends_no_worker_and_what_it_refuses_is_one_line(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("multitask.executors.pool._WAITS_S", 1.0)
    monkeypatch.setattr("multitask.executors.pool._AGAIN_S", 1.0)
    (tmp_path / "refused").mkdir()
    refused = Workers(tmp_path / "refused", 1, partition="gpu")
    with closing(refused), pytest.raises(UserError) as error:
        refused.pool.open()
    assert str(error.value) == (
        "executor: submitit cannot start a worker: invalid partition specified: gpu; Batch job submission failed: "
        "Invalid partition name specified"
    )
    with closing(Workers(tmp_path, 3)) as workers:
        workers.pool.open()
        workers.listen(lambda: len(workers.pool.idle()) == 2 and workers.said)
        slurm.stop_controller()
        try:
            told = r"1 of 3 workers wait: SLURM does not answer: .*Unable to contact slurm controller .*"
            # Not the first thing said, where it was being asked as it went.
            workers.listen(lambda: any(re.fullmatch(told, line) for line in workers.said))
            assert len(workers.pool.idle()) == 2
            assert not workers.lost
            with pytest.raises(UserError, match=r"cannot start a worker: .*: Unable to contact slurm controller"):
                workers.pool._start(0)
            workers.close()
        finally:
            slurm.start_controller()
    slurm.run("scancel", *slurm.jobs())  # what has not begun; it would find the launch gone
    slurm.wait_until_empty()
    assert capfd.readouterr() == ("", "")


def test_a_worker_that_is_lost_while_the_controller_is_gone_is_started_again_once_it_is_back(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multitask.executors.pool._REFUSED_S", 1.0)
    with closing(Workers(tmp_path, 2)) as workers:
        workers.pool.open()
        workers.listen(lambda: len(workers.pool.idle()) == 2)
        slurm.stop_controller()
        try:
            os.kill(workers.pool.idle()[0].process.pid, signal.SIGKILL)
            workers.listen(lambda: workers.lost)
            workers.listen(
                lambda: "cannot start a worker" in str(workers.pool._jobs[workers.pool.workers[0].ticket].waits())
            )
            assert len(workers.pool.idle()) == 1
        finally:
            slurm.start_controller()
        workers.listen(lambda: len(workers.pool.idle()) == 2, 120)
    slurm.wait_until_empty()
