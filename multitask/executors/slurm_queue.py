"""SLURM's word on jobs, by ``squeue``: it needs no accounting database, as ``sacct`` does, which submitit asks."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

_LOOK_S, _SELDOM_S = 2.0, 30.0
"""Between two questions: soon after a job was submitted, and later on."""
_CANCEL_S = 30.0
"""Within which SLURM must have taken what is cancelled; its commands give up by themselves after about 10 s."""
_WAITS = frozenset({"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"})
_RUNS = frozenset(
    {"RUNNING", "CONFIGURING", "COMPLETING", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED"}
)


@dataclass(frozen=True)
class JobState:
    """A job as SLURM has it; ``state`` and ``reason`` are its words (``man squeue``)."""

    state: str
    reason: str = ""

    @property
    def ended(self) -> bool:
        """Whether it does not run, and will not."""
        return self.state not in _WAITS | _RUNS

    @property
    def waits(self) -> bool:
        """Whether it has not begun."""
        return self.state in _WAITS


class SlurmQueue:
    """What SLURM says of the jobs of a launch. It is asked in the background: without an answer its commands wait."""

    def __init__(self) -> None:
        self._states: dict[str, JobState] = {}
        self._question: tuple[subprocess.Popen[bytes], IO[bytes], list[str]] | None = None
        self._cancelling: list[subprocess.Popen[bytes]] = []
        self._asked = self._changed = -_SELDOM_S
        self.trouble: str | None = None
        """Why the last question had no answer, in a line; None: it had."""

    def add(self, job: str) -> None:
        """A job that was submitted."""
        self._states[job] = JobState("PENDING")
        self._changed = time.monotonic()

    def state(self, job: str) -> JobState:
        """A job's state of some seconds ago; of one that SLURM no longer knows ``GONE``."""
        self._take_answer()
        now = time.monotonic()
        pause = min(_SELDOM_S, max(_LOOK_S, (now - self._changed) / 10))
        if self._question is None and now - self._asked > pause and not self._states[job].ended:
            self._ask()
        return self._states[job]

    def _ask(self) -> None:
        jobs = [job for job, known in self._states.items() if not known.ended]
        output = tempfile.TemporaryFile()  # noqa: SIM115 (a pipe holds only so much)
        words = ["squeue", "--noheader", "--states=all", "--format=%i|%T|%r", "--jobs=" + ",".join(jobs)]
        try:
            self._question = _started(words, output), output, jobs
        except OSError as error:
            self.trouble = f"squeue cannot be run ({error.strerror})"
        self._asked = time.monotonic()

    def _take_answer(self) -> None:
        if self._question is None or self._question[0].poll() is None:
            return
        process, output, jobs = self._question
        self._question = None
        with output:
            output.seek(0)
            lines = output.read().decode(errors="replace").splitlines()
        found = {job: JobState(state, reason) for job, state, reason in map(_fields, lines) if state}
        unknown = any("Invalid job id" in line for line in lines)  # what it says where it knows none of them
        if process.returncode and not unknown:
            self.trouble = lines[-1].strip() if lines else f"squeue ended with exit code {process.returncode}"
            return
        self.trouble = None
        for job in jobs:
            now = found.get(job, JobState("GONE"))
            if self._states[job] != now:
                self._states[job], self._changed = now, time.monotonic()

    def cancel(self, job: str) -> None:
        """Has a job ended, without a wait for it; no error where it has, or SLURM is gone."""
        with suppress(OSError):
            self._cancelling.append(_started(["scancel", job], subprocess.DEVNULL))
        self._changed = time.monotonic()

    def close(self) -> None:
        """Waits until SLURM has heard what is cancelled."""
        until = time.monotonic() + _CANCEL_S
        for process in self._cancelling:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(until - time.monotonic(), 0))
        for process in [*self._cancelling, *([self._question[0]] if self._question else [])]:
            process.kill()
            process.wait()
        if self._question is not None:
            self._question[1].close()
        self._cancelling, self._question = [], None


def _started(words: list[str], output: IO[bytes] | int) -> subprocess.Popen[bytes]:
    """One of SLURM's commands, heedless of Ctrl-C, and of variables that would narrow what it looks at."""
    narrow = ("SQUEUE_", "SCANCEL_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(narrow)}
    return subprocess.Popen(
        words,
        env=environment | {"LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        process_group=0,
    )


def _fields(line: str) -> tuple[str, str, str]:
    job, _, rest = line.strip().partition("|")
    state, _, reason = rest.partition("|")
    return job, state, "" if reason == "None" else reason
