"""SLURM, or processes of this machine that are started as SLURM's jobs are, by submitit."""

from __future__ import annotations

import logging
import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from multitask.errors import UserError, first_line
from multitask.executors.base import Executor, RemoteSettings, StartedWorker
from multitask.executors.command import run_command
from multitask.settings import Count, PositiveFloat, PositiveInt
from multitask.utils.interrupts import interrupts_held
from multitask.utils.process_tree import kill_tree

_SLURM_ONLY = ("partition", "account", "qos", "memory_gb")


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
        if self.cluster == "slurm" and (shutil.which("sbatch") is None or shutil.which("srun") is None):
            raise UserError(
                "executor: submitit finds no SLURM (sbatch, srun) on this machine; launch from a machine that submits "
                "jobs, or try with cluster: local"
            )

    def open(self, folder: Path) -> Executor:
        """submitit's executor."""
        return _Submitit(self, folder)


class _Job(StartedWorker):
    def __init__(self, job: Any) -> None:
        self._job = job

    def ended(self) -> str | None:
        job = self._job
        if not job.done():
            return None
        what = f"job {job.job_id}"
        if not job.paths.result_pickle.exists():
            return f"{what} ended: {str(job.state).lower()}"
        try:
            return f"{what}: {job.result()}"
        except Exception as error:  # submitit's, with a stack trace of many lines in it
            return f"{what} failed: {type(error).__name__}; {job.paths.stderr} says more"

    def cancel(self) -> None:
        with suppress(Exception):  # gone, or SLURM is
            if (process := getattr(self._job, "_process", None)) is None:
                self._job.cancel(check=False)
                return
            # submitit would interrupt what watches a local job, whose stack trace went to the user's terminal.
            kill_tree(process.pid)
            process.wait()


class _Submitit(Executor):
    def __init__(self, settings: SubmititSettings, folder: Path) -> None:
        submitit = _imported()
        local = settings.cluster == "local"
        self.host = settings.host or ("127.0.0.1" if local else socket.getfqdn())
        self._jobs: list[_Job] = []
        folder.mkdir(exist_ok=True, mode=0o700)  # what is submitted holds the key of this launch
        self._executor = submitit.AutoExecutor(folder, cluster=settings.cluster)
        own: dict[str, Any] = {"timeout_min": settings.timeout_min, "name": "multitask"}
        own |= {"cpus_per_task": settings.cpus_per_worker, "gpus_per_node": settings.gpus_per_worker}
        if settings.memory_gb is not None:
            own["mem_gb"] = settings.memory_gb
        for key in ("partition", "account", "qos"):
            if (value := getattr(settings, key)) is not None:
                own[f"slurm_{key}"] = value
        self._executor.update_parameters(**own)

    def start(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> StartedWorker:
        try:
            with _apart():
                job = _Job(self._executor.submit(run_command, [*words], {**environment}, str(log)))
                self._jobs.append(job)  # before an interrupt is heard, after which nobody would cancel it
        except Exception as error:  # SLURM's refusal, or a file system's
            lines = [line for line in str(error).splitlines() if line.strip()]
            said = next((line for line in reversed(lines) if "error" in line), first_line(error))
            raise UserError(f"executor: submitit cannot start a worker: {said.strip()}") from None
        return job

    def close(self) -> None:
        for job in self._jobs:
            if job.ended() is None:
                job.cancel()
        self._jobs.clear()


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
    """What is started imports nothing from the folder that it is in, and Ctrl-C, the launch's, waits until it has."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        with interrupts_held():
            yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before
