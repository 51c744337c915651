"""A worker: a process that trains one run after another for a launch, and knows nothing of studies.

    python -P -m multitask.study.worker FILE_DESCRIPTOR
    python -P -m multitask.study.worker HOST PORT TICKET

Over the pipe of that number, or the connection that it makes, it is given a ``Job``, says ``Epoch`` after each, hears
whether to go on, says ``Warned`` where something is lost, and ends with ``Done``, ``Stopped`` or ``Failed``. When the
other end is gone, so is the worker.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

from multitask.config import stored_config
from multitask.errors import UserError
from multitask.executors.line import Line, LineProgress, serve
from multitask.progress import EpochRecord, Progress
from multitask.reporting.study.report_schema import TrialScores
from multitask.runs.run import run
from multitask.study.messages import Done, Epoch, Failed, Job, Stopped
from multitask.study.metrics import figure


class _StopError(Exception):
    """Ends a run after an epoch."""


def do(job: Job, goes_on: Callable[[EpochRecord], bool], progress: Progress | None = None) -> Done | Stopped | Failed:
    """Performs the run of a job.

    Args:
        job: the run.
        goes_on: called with each epoch's record; False ends the run.
        progress: of the run.
    """
    waited = 0.0

    def after_epoch(record: EpochRecord) -> None:
        nonlocal waited
        asked = time.perf_counter()
        going = goes_on(record)
        waited += time.perf_counter() - asked
        if not going:
            raise _StopError

    shutil.rmtree(job.out, ignore_errors=True)
    started = time.perf_counter()
    try:
        # What the launch was allowed to import, its workers are.
        config = stored_config(job.config, job.out, allow_extensions=True)
        # A trial that is lost begins anew.
        result = run(
            config,
            job.out,
            resumable=job.keep_checkpoints,
            on_epoch=after_epoch,
            progress=progress,
            reuse=job.reuse,
        )
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
    """The worker's process: performs jobs until the launch closes the line."""

    def perform(job: Job, line: Line) -> Done | Stopped | Failed:
        def goes_on(record: EpochRecord) -> bool:
            line.send(Epoch(record))
            return bool(line.receive())

        return do(job, goes_on, LineProgress(line))

    serve(perform)


if __name__ == "__main__":
    main()
