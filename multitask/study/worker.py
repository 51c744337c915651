"""A worker: a process that trains one run after another for a launch, and knows nothing of studies.

    python -P -m multitask.study.worker FILE_DESCRIPTOR

Over the pipe of that number it is given a ``Job``, says ``Epoch`` after each, hears whether to go on, and ends with
``Done``, ``Stopped`` or ``Failed``. When the other end is gone, so is the worker.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from multitask.config import stored_config
from multitask.errors import UserError
from multitask.progress import EpochRecord
from multitask.reporting.study.report_schema import TrialScores
from multitask.runs.run import run
from multitask.study.messages import Beat, Done, Epoch, Failed, Job, Ready, Stopped
from multitask.study.metrics import figure

BEAT_S = 0.5


class _StopError(Exception):
    """Ends a run after an epoch."""


class _Line:
    """The worker's end of the pipe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()  # the beat comes from a thread of its own

    def send(self, message: object) -> None:
        """Sends a message; where the launch has closed the pipe, the process ends."""
        try:
            with self._lock:
                self._connection.send(message)
        except OSError:
            os._exit(1)

    def receive(self) -> Any:
        """The next message; where the launch has closed the pipe, the process ends."""
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            os._exit(0)

    def beat(self) -> None:
        """Sends a heartbeat every ``BEAT_S`` seconds, for ever."""
        while True:
            self.send(Beat())
            time.sleep(BEAT_S)


def do(job: Job, goes_on: Callable[[EpochRecord], bool]) -> Done | Stopped | Failed:
    """Performs the run of a job.

    Args:
        job: the run.
        goes_on: called with each epoch's record; False ends the run.
    """
    waited = 0.0

    def after_epoch(record: EpochRecord) -> None:
        nonlocal waited
        asked = time.perf_counter()
        going = goes_on(record)
        waited += time.perf_counter() - asked
        if not going:
            raise _StopError

    if not job.resume:
        shutil.rmtree(job.out, ignore_errors=True)
    started = time.perf_counter()
    try:
        # What the launch was allowed to import, its workers are.
        config = stored_config(job.config, job.out, allow_extensions=True)
        result = run(config, job.out, resume=job.resume, on_epoch=after_epoch, reuse=job.reuse)
    except _StopError:
        return Stopped()
    except UserError as error:
        return Failed(" ".join(str(error).split()))
    except Exception as error:  # of any kind: the trial is at fault, not the study
        return Failed(" ".join(f"{type(error).__name__}: {error}".split()))
    else:
        seconds = time.perf_counter() - started - waited
        report = result.report
        assert report is not None, "a study's runs are validated"
        macro_f1 = TrialScores(report.joint.macro_f1, {task: scores.macro_f1 for task, scores in report.tasks.items()})
        return Done({metric: figure(report, metric) for metric in job.metrics}, macro_f1, seconds)
    finally:
        if not job.keep_checkpoints:
            shutil.rmtree(job.out / "checkpoints", ignore_errors=True)


def main() -> None:
    """The worker's process: performs jobs until the launch closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the launch's to handle
    line = _Line(Connection(int(sys.argv[1])))
    threading.Thread(target=line.beat, name="beat", daemon=True).start()
    line.send(Ready())

    def goes_on(record: EpochRecord) -> bool:
        line.send(Epoch(record))
        return bool(line.receive())

    while True:
        line.send(do(line.receive(), goes_on))


if __name__ == "__main__":
    main()
