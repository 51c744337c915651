"""A worker: a process that an executor starts, and that trains one run after another of a bake-off.

    python -P -m multitask.bakeoff.worker HOST PORT TICKET

Over the connection that it makes it is given a ``RunJob``, says ``EpochRecord`` after each epoch, ``Warned`` where
something is lost, and ends with ``Ended``. When the other end is gone, so is the worker; the epochs of its run are
kept, and resumed.
"""

from __future__ import annotations

from multitask.bakeoff.messages import Ended, RunJob
from multitask.bakeoff.runs import train
from multitask.config import stored_config
from multitask.errors import UserError
from multitask.executors.line import Line, LineProgress, serve
from multitask.runs.folder import RunFolder


def do(job: RunJob, line: Line) -> Ended:
    """Trains the run of a job."""
    try:
        # What the launch was allowed to import, its workers are.
        config = stored_config(job.config, job.out, allow_extensions=True)
        train(config, RunFolder(job.out), job.reuse, line.send, LineProgress(line), job.keep_checkpoints)
    except UserError as error:
        return Ended(" ".join(str(error).split()))
    except Exception as error:  # of any kind: a stack trace is for the log, which no user reads first
        return Ended(" ".join(f"{type(error).__name__}: {error}".split()))
    return Ended()


if __name__ == "__main__":
    serve(do)
