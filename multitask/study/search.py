"""A launch of a study: trials are asked for, given to workers, watched, and told to the storage."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from multitask.errors import UserError
from multitask.executors.pool import RemotePool, RemoteWorker
from multitask.progress import EpochRecord, RunningTrial, StudyProgress, SweepStatus, ValidationScores
from multitask.reporting.study.report_schema import TrialEpoch
from multitask.study import trial_attrs
from multitask.study.folder import StudyFolder
from multitask.study.histories import FinishedHistories
from multitask.study.interrupt import Interrupt
from multitask.study.messages import Done, Epoch, Failed, Job, Lost, Stopped, Warned
from multitask.study.metrics import figure
from multitask.study.pool import Pool, Worker
from multitask.study.pruners import DominatedSettings, History
from multitask.study.settings import Plan
from multitask.study.storage import STORAGE_ERRORS
from multitask.study.trial_queue import give_up, queue_lost, stale_trials, this_worker, without_heartbeat_warning
from multitask.study.trial_results import Outcomes
from multitask.utils.interrupts import interrupts_held

_TICK_S = 0.1


@dataclass
class _Running:
    """A trial that a worker has."""

    trial: Trial
    view: RunningTrial
    is_base: bool
    history: History = field(default_factory=list)
    stopped: str = ""
    """Why it was told to stop, if it was."""


class Search:
    """The trials of one launch.

    Args:
        study: Optuna's.
        plan: the study file, made out.
        folder: where runs are kept.
        pool: the workers.
        progress: notified of everything.
        alone: whether no other launch can be at work on the study, so that a trial that runs is this launch's or lost.
    """

    def __init__(
        self,
        study: Study,
        plan: Plan,
        folder: StudyFolder,
        pool: Pool | RemotePool,
        progress: StudyProgress,
        alone: bool,
    ) -> None:
        self.study = study
        self.plan = plan
        self.settings = plan.settings
        self.folder = folder
        self.pool = pool
        self.progress = progress
        self.outcomes = Outcomes(study, plan.settings, folder, self._ended)
        self._running: dict[int, _Running] = {}
        self._histories: dict[int, History] = {}
        self._swept = self._beat = -math.inf
        self._waits_said = self._began = False
        self._deadline: float | None = None
        self.view = SweepStatus(
            self.settings.name,
            self.settings.objective,
            self.settings.budget.trials,
            num_workers=len(pool.workers),
            running={},
        )
        if alone:
            for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                self.outcomes.lost(trial._trial_id, "the launch that ran it was killed")

    # --- the loop -----------------------------------------------------------------------------------------------

    def run(self, interrupt: Interrupt) -> None:
        """Runs trials until the budget is spent.

        Args:
            interrupt: says when to stop early; running trials are then queued again.

        Raises:
            UserError: too many trials in a row failed, or workers do not start.
            KeyboardInterrupt: it was interrupted; everything is saved.
        """
        hours = self.settings.budget.hours
        self._deadline = time.monotonic() + 3600 * hours if hours is not None else None
        self.view.deadline = self._deadline
        self._count()
        self._began = True
        self.progress.begin(self.view)
        pruner = self.settings.chosen_pruner
        if len(self.settings.objective) > 1 and isinstance(pruner, DominatedSettings):
            self.progress.say(f"several objectives, which Optuna does not prune: {pruner.rule}")
        if self._is_spent(trials := self._trials()) and not self._elsewhere(trials):
            return  # without a wait for workers
        try:
            while not interrupt.asked:
                self._sweep()
                if self._hand_out() and not self._running:
                    return
                for worker, message in self.pool.listen(_TICK_S):
                    self._hear(worker, message)
                self._heartbeat()
                self.progress.tick()
            raise KeyboardInterrupt
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            reason = "interrupted" if interrupted else "the launch stopped"
            with interrupts_held():  # else the second one left workers, or trials that nobody runs
                self.pool.close()  # first, so that no worker writes into a folder that is removed
                with suppress(*STORAGE_ERRORS):  # if it is gone, the heartbeat's end will tell
                    for running in self._running.values():
                        self.outcomes.lost(running.trial._trial_id, reason, interrupted)
            raise

    def _hand_out(self) -> bool:
        """Gives trials to idle workers; whether there are no more to give, here or elsewhere."""
        for worker in self.pool.idle():
            if self._deadline is not None and time.monotonic() >= self._deadline:
                return True
            trials = self._trials()
            if self._is_spent(trials):
                return not self._elsewhere(trials)
            if not self.outcomes.told(partial(self._start, worker)):
                self._ended("a trial that had not begun: another launch had given it up", "retried")
        return False

    def _trials(self) -> list[FrozenTrial]:
        """All trials; what another launch lost and had no time to queue again is queued."""
        queue_lost(self.study, self.settings.retries)
        return self.study.get_trials(deepcopy=False)

    def _is_spent(self, trials: Sequence[FrozenTrial]) -> bool:
        """Whether all trials of the budget have begun."""
        total = self.settings.budget.trials
        full = total is not None and len(trial_attrs.counted(trials, self.settings.retries)) >= total
        return full and not any(trial.state == TrialState.WAITING for trial in trials)

    def _elsewhere(self, trials: Sequence[FrozenTrial]) -> bool:
        """Whether other launches have trials yet, which may be lost and fall to this one."""
        own = {running.trial.number for running in self._running.values()}
        others = [trial.number for trial in trials if trial.state == TrialState.RUNNING and trial.number not in own]
        if others and not own and not self._waits_said:
            self._waits_said = True
            self.progress.say(f"waiting for trial {others[0]}, which another launch runs or has lost")
        return bool(others)

    def _start(self, worker: Worker | RemoteWorker) -> None:
        """Asks for a trial and gives it to a worker.

        Raises:
            optuna.exceptions.UpdateFinishedTrialError: another launch gave it up before the worker had it.
        """
        with without_heartbeat_warning():
            trial = self.study.ask()
        storage: Any = self.study._storage
        storage.record_heartbeat(trial._trial_id)
        host = worker.host if isinstance(worker, RemoteWorker) else ""
        trial.set_user_attr(trial_attrs.WORKER, this_worker(worker.process.pid, host))
        trials = self.study.get_trials(deepcopy=False)
        asked = next(other for other in trials if other.number == trial.number)
        if trial_attrs.takes_a_taken_place(asked, trials, self.settings.budget.trials, self.settings.retries):
            give_up(
                self.study, trial._trial_id, {trial_attrs.FAILURE: "its place was taken", trial_attrs.SURPLUS: True}
            )
            return
        is_base = asked.user_attrs.get(trial_attrs.ORIGIN) == "base"
        changes = {} if is_base else self.plan.space.suggest(trial)
        trial.set_user_attr(trial_attrs.CHANGES, changes)
        try:
            config = self.plan.space.config(changes) if changes else self.plan.base
        except UserError as error:
            self.outcomes.failed(trial, str(error))
            return
        view = RunningTrial(f"trial {trial.number}", config.training.epochs, changes)
        self._running[worker.number] = _Running(trial, view, is_base)
        self.view.running[worker.number] = view
        job = Job(
            config.model_dump(mode="json"),
            self.folder.trial(trial.number).absolute(),
            self.folder.reuse.absolute(),
            self.settings.objective,
            self.settings.keep_checkpoints,
        )
        worker.send(job)

    # --- what workers say ---------------------------------------------------------------------------------------

    def _hear(self, worker: Worker | RemoteWorker, message: Any) -> None:
        if worker.number not in self._running:
            return
        running = self._running[worker.number]
        if isinstance(message, Epoch):
            worker.send(self._goes_on(running, message.record))
            return
        if isinstance(message, Warned):
            self.progress.warn(f"{running.view.name}: {message.text}")
            return
        del self._running[worker.number], self.view.running[worker.number]
        worker.idle = not isinstance(message, Lost)
        seconds = time.monotonic() - running.view.started
        if isinstance(message, Done):
            self.outcomes.finished(running.trial, running.history, message, seconds)
        elif isinstance(message, Stopped):
            self.outcomes.pruned(running.trial, running.history, running.stopped, seconds)
        elif isinstance(message, Failed):
            self.outcomes.failed(running.trial, message.message, running.history)
        else:
            assert isinstance(message, Lost)
            self.outcomes.lost(running.trial._trial_id, message.reason)

    def _goes_on(self, running: _Running, record: EpochRecord) -> bool:
        """Takes an epoch's scores; whether the trial is worth another."""
        val = record.val
        assert val is not None, "a study's runs are validated"
        running.history.append(TrialEpoch(record.epoch, val.joint_macro_f1, val.task_macro_f1(), self._gains(val)))
        running.view.take(record)
        self.progress.epoch(running.view)
        # The storage takes nothing of a trial that another launch has given up.
        return self.outcomes.told(partial(self._judge, running, val)) and not running.stopped

    def _judge(self, running: _Running, val: ValidationScores) -> None:
        """Reports the objective after an epoch, where it is one, and asks the pruner whether the trial stops.

        Raises:
            optuna.exceptions.UpdateFinishedTrialError: another launch has given it up.
        """
        epoch, num_epochs = running.history[-1].epoch, running.view.num_epochs
        if len(self.settings.objective) == 1:
            value = figure(val, self.settings.objective[0])
            if value is not None and math.isfinite(value):
                running.trial.report(value, epoch - 1)  # Optuna counts from 0
        if running.is_base or epoch >= num_epochs:
            return  # the base is what all others are measured against
        others = FinishedHistories(self.study, self._histories)
        pruner = self.settings.chosen_pruner
        running.stopped = pruner.verdict(running.trial, running.history, others, num_epochs) or ""

    def _gains(self, val: ValidationScores) -> tuple[float | None, ...] | None:
        """As of ``TrialEpoch``."""
        if not self.settings.chosen_pruner.judges_gains:
            return None
        found = []
        for metric, direction in zip(self.settings.objective, self.settings.directions, strict=True):
            value = figure(val, metric)
            known = value is not None and math.isfinite(value)
            found.append(None if value is None or not known else value if direction == "maximize" else -value)
        return tuple(found)

    # --- signs of life ------------------------------------------------------------------------------------------

    def _heartbeat(self) -> None:
        """Records a heartbeat of every trial that this launch runs, at most once an interval."""
        now = time.monotonic()
        if now - self._beat >= self.settings.heartbeat.interval_s:
            self._beat = now
            storage: Any = self.study._storage
            for running in self._running.values():
                storage.record_heartbeat(running.trial._trial_id)

    def _sweep(self) -> None:
        """Gives up trials whose heartbeat has stopped, and queues what was lost."""
        now = time.monotonic()
        if now - self._swept < self.settings.heartbeat.interval_s:
            return
        self._swept = now
        own = {running.trial.number for running in self._running.values()}
        for trial in stale_trials(self.study, self.settings.heartbeat):
            if trial.number not in own:
                self.outcomes.lost(trial._trial_id, f"no sign of life for {self.settings.heartbeat.grace_s} s")
        queue_lost(self.study, self.settings.retries)
        self._count()

    # --- how it stands ------------------------------------------------------------------------------------------

    def _ended(self, text: str, kind: str) -> None:
        """A trial ended: the view counts it before the console is notified."""
        self._count()
        self.progress.ended(text, kind)

    def _count(self) -> None:
        """Counts the trials by how they ended, for the view."""
        trials = self.study.get_trials(deepcopy=False)
        view = self.view
        counted = trial_attrs.counted(trials, self.settings.retries)
        view.finished = sum(trial.state == TrialState.COMPLETE for trial in counted)
        view.pruned = sum(trial.state == TrialState.PRUNED for trial in counted)
        view.failed = sum(trial.state == TrialState.FAIL for trial in counted)
        view.retried = sum(trial_attrs.is_lost(trial) for trial in trials) - sum(
            trial_attrs.is_lost(trial) for trial in counted
        )
        seconds = [
            trial.user_attrs[trial_attrs.SECONDS] for trial in counted if trial_attrs.SECONDS in trial.user_attrs
        ]
        view.mean_seconds = math.fsum(seconds) / len(seconds) if seconds else None
        if not view.finished:
            return
        if len(self.settings.objective) > 1:
            view.front = len(self.study.best_trials)
            return
        best = self.study.best_trial
        if view.best_trial != best.number:
            view.best_since = time.monotonic() if self._began else None
            view.best, view.best_trial = best.value, best.number
