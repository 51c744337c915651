"""The workers of a launch: processes that share the machine, are watched, and are replaced when they die."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import IO, Any

import torch

from multitask.errors import UserError
from multitask.study.messages import Beat, Job, Lost, Ready
from multitask.utils.pauses import Pauses

_START_S = 300.0
"""Until the first sign of life: the libraries' import, on a slow disk."""
_SHORT_SPIN = "1000"
"""Rounds that an OpenMP thread waits for the others before it sleeps, where more threads than cores compete: those that
wait as long as the library has it keep off the core the very thread that they wait for. Where there is a core for each,
to sleep between two small kernels costs an eighth of the speed."""
_PATIENCE = 30
_SPENT_BY_EXIT, _SPENT_BY_KILL = 10, 1
"""What a worker's death before it was ready takes of the patience; one that is ready gives it back. What ends by itself
will do so again; what somebody kills may live the next time."""


class Worker:
    """One process.

    Args:
        number: its place among the workers, from 0.
        num_threads: that it computes with.
        gpu: the one it may use, as CUDA_VISIBLE_DEVICES names it; None: any.
        log: the file that takes what it prints.
        crowded: whether all workers together have more threads than there are cores.

    Attributes:
        number: its place among the workers, from 0.
        idle: whether it waits for a job.
        beat: ``time.monotonic()`` of its last sign of life.
    """

    def __init__(self, number: int, num_threads: int, gpu: str | None, log: IO[bytes], crowded: bool = False) -> None:
        self.number = number
        self.idle = False
        self.started = False
        self.beat = time.monotonic()
        here, there = multiprocessing.Pipe()
        environment = {**os.environ, "OMP_NUM_THREADS": str(num_threads)}
        if crowded:
            environment.setdefault("GOMP_SPINCOUNT", _SHORT_SPIN)
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        self.connection: Connection = here
        self.process = subprocess.Popen(
            # -P: else a yaml.py in the folder that the study is started in would be imported in place of the library.
            [sys.executable, "-P", "-m", "multitask.study.worker", str(there.fileno())],
            pass_fds=[there.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,  # Ctrl-C in the terminal is for the launch alone
        )
        there.close()

    def send(self, message: Any) -> None:
        """Sends a job, or whether to go on after an epoch; that a worker is dead is noticed by ``Pool.listen``."""
        if isinstance(message, Job):
            self.idle = False
        with suppress(OSError):
            self.connection.send(message)

    def end(self) -> int:
        """Kills the process if it still runs; its exit code."""
        self.process.kill()
        self.connection.close()
        return self.process.wait()


class Pool:
    """Several workers.

    Args:
        num_workers: how many.
        log: the file that takes what they print.
        grace_s: without a sign of life, after which a worker is ended.
        gpus: whether they take a GPU each, where there are any.
    """

    def __init__(self, num_workers: int, log: Path, grace_s: float, gpus: bool) -> None:
        self._log_path = log
        self._log = log.open("ab")
        self._grace_s = grace_s
        self._gpus = _visible_gpus() if gpus else []
        # Threads of this process, not cores: what OMP_NUM_THREADS or a container grants counts.
        self._num_threads = max(1, torch.get_num_threads() // num_workers)
        self._crowded = num_workers * self._num_threads > len(os.sched_getaffinity(0))
        self._spent = 0
        self._pauses = Pauses(grace_s, time.monotonic())
        self.workers = [self._start(number) for number in range(num_workers)]

    def _start(self, number: int) -> Worker:
        gpu = self._gpus[number % len(self._gpus)] if self._gpus else None
        return Worker(number, self._num_threads, gpu, self._log, self._crowded)

    def idle(self) -> list[Worker]:
        """The workers that wait for a job."""
        return [worker for worker in self.workers if worker.idle]

    def listen(self, timeout_s: float) -> Iterator[tuple[Worker, Any]]:
        """The messages of workers within the time, and ``Lost`` for those without a heartbeat, which are replaced.

        Raises:
            UserError: workers die before they are ready, again and again.
        """
        heard = set(wait([worker.connection for worker in self.workers], timeout_s))
        paused_s = self._pauses.until(time.monotonic())
        for worker in self.workers:
            worker.beat += paused_s
        for worker in list(self.workers):
            lost = None
            if worker.connection in heard:
                try:
                    message = worker.connection.recv()
                except (EOFError, OSError):
                    lost = _how_it_ended(worker.end())
                else:
                    worker.beat = time.monotonic()
                    worker.started = True
                    self._spent = 0
                    if isinstance(message, Ready):
                        worker.idle = True
                    elif not isinstance(message, Beat):
                        yield worker, message
            elif time.monotonic() - worker.beat > (grace_s := self._grace_s if worker.started else _START_S):
                worker.end()
                lost = f"the worker showed no sign of life for {grace_s:g} s"
            if lost is not None:
                if not worker.started:
                    self._spent += _SPENT_BY_KILL if (worker.process.returncode or 0) < 0 else _SPENT_BY_EXIT
                if self._spent >= _PATIENCE:
                    raise UserError(f"workers do not start ({lost}); {self._log_path} says more")
                self.workers[worker.number] = self._start(worker.number)
                yield worker, Lost(lost)

    def close(self) -> None:
        """Ends all workers."""
        for worker in self.workers:
            worker.end()
        self._log.close()


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"the worker ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"the worker was killed by {name}" + (" (out of memory, perhaps)" if name == "SIGKILL" else "")


def _visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return named.split(",")[:count] if named else [str(index) for index in range(count)]
