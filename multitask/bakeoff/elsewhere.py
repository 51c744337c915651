"""Runs of a bake-off that an executor's workers train."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing

from multitask.bakeoff.folder import BakeoffFolder
from multitask.bakeoff.messages import Ended, RunJob
from multitask.bakeoff.runs import BakeoffRun
from multitask.bakeoff.settings import BakeoffSettings
from multitask.errors import UserError
from multitask.executors.messages import Lost, Warned
from multitask.executors.pool import RemotePool
from multitask.progress import RunningTrial, StudyProgress, SweepStatus

_TICK_S = 0.1
_GRACE_S = 60.0
_LOSSES = 3
"""Deaths of a run's worker without an epoch between them, after which the bake-off stops."""


def train_elsewhere(
    settings: BakeoffSettings,
    runs: Sequence[BakeoffRun],
    folder: BakeoffFolder,
    progress: StudyProgress,
    view: SweepStatus,
    tell: Callable[[BakeoffRun, float], None],
) -> None:
    """Trains runs side by side, and resumes those whose worker was lost.

    Args:
        settings: of the bake-off.
        runs: those that are to be trained.
        folder: the bake-off's, under a path that all machines see.
        progress: notified of epochs, warnings and lost workers.
        view: how the bake-off stands; it is changed.
        tell: called with each run that has ended, and its seconds.

    Raises:
        UserError: a run fails, its worker is lost again and again, or the executor is gone.
        KeyboardInterrupt: it was interrupted; finished epochs are saved.
    """
    waiting, running = list(runs), dict[int, BakeoffRun]()
    losses = dict.fromkeys((run.name for run in runs), 0)
    if not runs:
        return
    num_workers = min(settings.workers, len(runs))
    module = "multitask.bakeoff.worker"
    pool = RemotePool(settings.executor, module, num_workers, folder.workers, _GRACE_S, progress.say)
    with closing(pool):
        pool.open()
        view.num_workers = num_workers
        while waiting or running:
            for worker in pool.idle()[: len(waiting)]:
                run = running[worker.number] = waiting.pop(0)
                view.running[worker.number] = RunningTrial(run.name, run.config.training.epochs, run.contender.own)
                run.clear()
                worker.send(_job(run, folder, settings.keep_checkpoints))
            for worker, message in pool.listen(_TICK_S):
                if worker.number not in running:
                    continue
                if isinstance(message, Warned):
                    progress.warn(f"{running[worker.number].name}: {message.text}")
                    continue
                if not isinstance(message, Ended | Lost):
                    losses[running[worker.number].name] = 0  # an epoch is on disk, which the next goes on from
                    view.running[worker.number].take(message)
                    progress.epoch(view.running[worker.number])
                    continue
                run, shown = running.pop(worker.number), view.running.pop(worker.number)
                if isinstance(message, Lost):
                    losses[run.name] += 1
                    if losses[run.name] == _LOSSES:
                        raise UserError(f"{run.name}: was lost {_LOSSES} times; {message.reason}")
                    progress.ended(f"{run.name}: lost, {message.reason}; queued again", "retried")
                    waiting.insert(0, run)
                    continue
                worker.idle = True
                if message.error is not None:
                    raise UserError(f"{run.name}: {message.error}")
                if not run.is_done():
                    raise UserError(
                        f"{run.name}: was trained on {worker.host}, but {run.folder.path} is not there; --out must be "
                        "a folder that all machines see under the same path"
                    )
                tell(run, time.monotonic() - shown.started)
            progress.tick()


def _job(run: BakeoffRun, folder: BakeoffFolder, keep_checkpoints: bool) -> RunJob:
    config = run.config.model_dump(mode="json")
    return RunJob(config, run.folder.path.absolute(), folder.reuse.absolute(), keep_checkpoints)
