"""A Ray cluster. A process of its own speaks with it, since Ray ends the one that does when it is gone."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from multitask.errors import UserError
from multitask.executors.base import Executor, RemoteSettings, StartedWorker
from multitask.settings import Float, PositiveFloat


class RaySettings(RemoteSettings):
    """Each worker is a task of Ray's (https://docs.ray.io)."""

    name: Literal["ray"] = "ray"
    package = "ray"
    address: Annotated[str, Field(min_length=1)] | None = None
    """Of the cluster: ``10.0.0.1:6379``, or ``auto``; None: a Ray of the launch's own, on this machine."""
    gpus_per_worker: Annotated[Float, Field(ge=0, le=1024)] = 0.0
    """GPUs that a worker is given; a fraction shares one."""
    connect_timeout_s: Annotated[PositiveFloat, Field(le=86_400)] = 60.0
    """Within which Ray must answer."""

    @property
    def several_machines(self) -> bool:
        """Unless Ray is started on this one."""
        return self.address is not None

    def open(self, folder: Path) -> Executor:
        """Connects to Ray, or starts one."""
        return _Ray(self, folder)


class _Task(StartedWorker):
    def __init__(self, ray: _Ray, number: int) -> None:
        self._ray = ray
        self._number = number

    def ended(self) -> str | None:
        self._ray.check()
        return self._ray.how_ended.get(self._number)

    def cancel(self) -> None:
        with suppress(OSError):
            self._ray.line.send(("cancel", self._number))


class _Ray(Executor):
    def __init__(self, settings: RaySettings, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._log = folder / "ray.log"
        self._place = f"Ray at {settings.address}" if settings.address else "the Ray of this launch"
        self._wants = {"num_cpus": settings.cpus_per_worker, "num_gpus": settings.gpus_per_worker}
        self._count = 0
        self.how_ended: dict[int, str] = {}
        self.line, there = multiprocessing.Pipe()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "multitask.executors.ray_driver", str(there.fileno())],
                pass_fds=[there.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C in the terminal is for the launch alone
            )
        there.close()
        try:
            self.line.send(settings.address)
            self.host = settings.host or str(self._answer(settings.connect_timeout_s))
        except BaseException:
            self._process.kill()
            self.close()
            raise

    def _answer(self, seconds: float) -> Any:
        """This machine's address, as Ray knows it."""
        try:
            if not self.line.poll(seconds):
                raise UserError(f"executor: {self._place} did not answer within {seconds:g} s; {self._log} says more")
            kind, said = self.line.recv()
        except (EOFError, OSError):
            raise UserError(f"executor: {self._place} cannot be reached; {self._log} says more") from None
        if kind != "ready":
            raise UserError(f"executor: {self._place} cannot be reached: {said}")
        return said

    def start(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> StartedWorker:
        self.check()
        self._count += 1
        with suppress(OSError):  # it is gone, as the next check says
            self.line.send(("start", self._count, [*words], {**environment}, str(log), self._wants))
        return _Task(self, self._count)

    def check(self) -> None:
        try:
            while self.line.poll():
                kind, *rest = self.line.recv()
                if kind == "gone":
                    raise UserError(f"executor: {self._place} is gone: {rest[0]}")
                number, said = rest
                self.how_ended[number] = said
        except (EOFError, OSError):
            raise UserError(f"executor: {self._place} is gone; {self._log} says more") from None

    def close(self) -> None:
        self.line.close()
        until = time.monotonic() + 10  # within which it ends its tasks
        while self._process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        self._process.kill()
        self._process.wait()
