"""SLURM, or processes of this machine that are started as SLURM's jobs are, by submitit."""

from __future__ import annotations

import io
import logging
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from multitask.errors import UserError, first_line
from multitask.executors.base import Executor, RemoteSettings, StartedWorker
from multitask.executors.command import run_command
from multitask.executors.slurm_queue import SlurmQueue
from multitask.settings import Count, PositiveFloat, PositiveInt
from multitask.utils.interrupts import interrupts_held
from multitask.utils.process_tree import kill_tree

_SLURM_ONLY = ("partition", "account", "qos", "memory_gb")
_COMMANDS = ("sbatch", "squeue", "scancel", "srun")  # the last is how submitit finds SLURM
_OF_A_JOB = ("SLURM_", "SLURMD_", "SRUN_", "SUBMITIT_")
_WORD_S = 5.0
"""For which SLURM's own word on a job's end is waited for, where its result is there."""


class SubmititSettings(RemoteSettings):
    """Each worker is a job of SLURM's (https://github.com/facebookincubator/submitit)."""

    name: Literal["submitit"] = "submitit"
    package = "submitit"
    cluster: Literal["slurm", "local"] = "slurm"
    """``local`` starts jobs on this machine, to try it without SLURM."""
    partition: str | None = None
    """SLURM's; None: its default, as of all that follows."""
    account: str | None = None
    """That is charged."""
    qos: str | None = None
    """SLURM's quality of service."""
    gpus_per_worker: Count = 0
    """GPUs that a worker is given."""
    memory_gb: PositiveFloat | None = None
    """Of a worker."""
    timeout_min: Annotated[PositiveInt, Field(le=525_600)] = 1440
    """Minutes after which SLURM ends a worker; its run is queued again, for the next."""

    @model_validator(mode="after")
    def _check(self) -> SubmititSettings:
        for key in _SLURM_ONLY if self.cluster == "local" else ():
            if getattr(self, key) is not None:
                raise ValueError(f"{key}: is SLURM's; cluster: local has none")
        return self

    @property
    def several_machines(self) -> bool:
        """Unless jobs are started on this one."""
        return self.cluster == "slurm"

    def check(self) -> None:
        """Whether submitit is installed, and SLURM is here."""
        super().check()
        if self.cluster == "slurm" and any(shutil.which(command) is None for command in _COMMANDS):
            raise UserError(
                f"executor: submitit finds no SLURM ({', '.join(_COMMANDS)}) on this machine; launch from a machine "
                "that submits jobs, or try with cluster: local"
            )

    def open(self, folder: Path) -> Executor:
        """submitit's executor."""
        return _Submitit(self, folder)


class _Job(StartedWorker):
    """A job of submitit's, whose result is a line of ``run_command``."""

    def __init__(self, job: Any) -> None:
        self._job = job
        self._what = f"job {job.job_id}"

    def _result(self) -> str:
        try:
            return f"{self._what}: {self._job.result()}"
        except Exception as error:  # submitit's, with a stack trace of many lines in it
            return f"{self._what} failed: {type(error).__name__}; {self._job.paths.stderr} says more"


class _LocalJob(_Job):
    def ended(self) -> str | None:
        if not self._job.done():
            return None
        if not self._job.paths.result_pickle.exists():
            return f"{self._what} ended: {str(self._job.state).lower()}"
        return self._result()

    def cancel(self) -> None:
        with suppress(Exception):  # gone
            # submitit would interrupt what watches it, whose stack trace went to the user's terminal.
            kill_tree(self._job._process.pid)
            self._job._process.wait()


class _SlurmJob(_Job):
    def __init__(self, job: Any, queue: SlurmQueue) -> None:
        super().__init__(job)
        self.id: str = job.job_id
        self.cancelled = False
        self._queue = queue
        self._result_seen: float | None = None
        queue.add(self.id)

    def ended(self) -> str | None:
        state = self._queue.state(self.id)
        has_result = self._job.paths.result_pickle.exists()
        if has_result and self._result_seen is None:
            self._result_seen = time.monotonic()
        if not state.ended:  # SLURM's word says more, and follows within seconds
            silent = self._result_seen is not None and time.monotonic() - self._result_seen > _WORD_S
            return self._result() if silent else None
        if has_result and state.state in ("COMPLETED", "GONE"):
            return self._result()
        if state.state == "GONE":
            return f"{self._what} is no longer known to SLURM"
        errors = self._job.paths.stderr
        more = f"; {errors} says more" if errors.exists() and errors.stat().st_size else ""
        return f"{self._what} ended: {state.state.lower().replace('_', ' ')}{more}"

    def waits(self) -> str | None:
        if self._queue.trouble is not None:
            return f"SLURM does not answer: {self._queue.trouble}"
        state = self._queue.state(self.id)
        return f"{self._what} is pending ({state.reason})" if state.waits and state.reason else None

    def cancel(self) -> None:
        if not self.cancelled:
            self.cancelled = True
            self._queue.cancel(self.id)


class _Submitit(Executor):
    def __init__(self, settings: SubmititSettings, folder: Path) -> None:
        submitit = _imported()
        local = settings.cluster == "local"
        self.host = settings.host or ("127.0.0.1" if local else _this_host())
        self._queue = None if local else SlurmQueue()
        self._jobs: list[_Job] = []
        folder.mkdir(exist_ok=True, mode=0o700)  # what is submitted holds the key of this launch
        self._executor = submitit.AutoExecutor(folder, cluster=settings.cluster)
        own: dict[str, Any] = {"timeout_min": settings.timeout_min, "name": "multitask"}
        own |= {"cpus_per_task": settings.cpus_per_worker, "gpus_per_node": settings.gpus_per_worker}
        if not local:
            own["slurm_use_srun"] = False  # a step of srun's is signalled, and ended, 90 s before its time is up
        if settings.memory_gb is not None:
            own["mem_gb"] = settings.memory_gb
        for key in ("partition", "account", "qos"):
            if (value := getattr(settings, key)) is not None:
                own[f"slurm_{key}"] = value
        self._executor.update_parameters(**own)

    def start(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> StartedWorker:
        try:
            with _apart(), redirect_stderr(io.StringIO()):  # submitit prints what it also raises
                job = self._wrapped(self._executor.submit(run_command, [*words], {**environment}, str(log)))
                self._jobs.append(job)  # before an interrupt is heard, after which nobody would cancel it
        except Exception as error:  # SLURM's refusal, or a file system's
            raise UserError(f"executor: submitit cannot start a worker: {_said(error)}") from None
        return job

    def _wrapped(self, job: Any) -> _Job:
        return _LocalJob(job) if self._queue is None else _SlurmJob(job, self._queue)

    def close(self) -> None:
        for job in self._jobs:
            if job.ended() is None:
                job.cancel()
        self._jobs.clear()
        if self._queue is not None:
            self._queue.close()


def _said(error: Exception) -> str:
    """The errors that sbatch printed, of which the first names what is wrong, or another's first line."""
    lines = [line.strip() for line in str(error).splitlines()]
    errors = [line.removeprefix("sbatch: error: ") for line in lines if line.startswith("sbatch: error: ")]
    return "; ".join(errors) or first_line(error)


def _this_host() -> str:
    """This machine's name, as other machines know it: where its own is an alias of the loopback, the bare one."""
    name = socket.getfqdn()
    return socket.gethostname() if name.split(".")[0] == "localhost" else name


def _imported() -> Any:
    """submitit, without its logging, whose set-up would close every handler that the process has."""
    before = os.environ.setdefault("SUBMITIT_LOG_LEVEL", "NOCONFIG")
    import submitit

    if before == "NOCONFIG":
        del os.environ["SUBMITIT_LOG_LEVEL"]
    logging.getLogger("submitit").setLevel(logging.CRITICAL)
    return submitit


@contextmanager
def _apart() -> Iterator[None]:
    """What is started imports nothing from the folder that it is in, takes none of what SLURM says of the job that the
    launch itself may be in, and Ctrl-C, the launch's, waits until it has.
    """
    before = dict(os.environ)
    inherited = [name for name in before if "SLURM_JOB_ID" in before and name.startswith(_OF_A_JOB)]
    for name in inherited:
        if name != "SLURM_CONF":
            del os.environ[name]
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        with interrupts_held():
            yield
    finally:
        del os.environ["PYTHONSAFEPATH"]
        os.environ.update(before)
