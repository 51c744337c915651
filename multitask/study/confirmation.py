"""The confirmation of a study: its best trials and the base once more, with fresh seeds on folds of fresh groups.

The best of many trials is partly the luckiest on the groups that validated. So the candidates are trained again, run i
with a seed and on a fold of its own, the same for all, so that every group is answered by networks that did not train
on it; then each candidate is compared with the base by resampling the groups.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from multitask.config import Config
from multitask.data.settings import DataSettings
from multitask.errors import UserError
from multitask.executors.pool import RemotePool
from multitask.progress import RunningTrial, StudyProgress, SweepStatus
from multitask.runs.config import load_run_config
from multitask.runs.folder import RunFolder
from multitask.settings import Changes
from multitask.study import trial_attrs
from multitask.study.folder import StudyFolder
from multitask.study.interrupt import Interrupt
from multitask.study.messages import Done, Epoch, Failed, Job, Lost, Warned
from multitask.study.metrics import figures_in_words
from multitask.study.pool import Pool
from multitask.study.settings import Plan
from multitask.utils.seeds import derive

_TICK_S = 0.1
_LOSSES = 3
"""Deaths of a run's worker, after which confirming stops."""


@dataclass(frozen=True)
class Candidate:
    """A trial to be run again: its number, its score in the study, and the settings that it changes."""

    number: int
    study_score: float | None
    changes: Changes
    is_base: bool = False


@dataclass(frozen=True)
class ConfirmingRun:
    """A candidate's run with one of the fresh seeds, on the fold that goes with it."""

    candidate: Candidate
    index: int
    config: Config
    folder: RunFolder

    @property
    def name(self) -> str:
        """For messages, as ``trial 3, seed 1``; seeds are counted from 1."""
        return f"{'base' if self.candidate.is_base else f'trial {self.candidate.number}'}, seed {self.index + 1}"

    def is_done(self) -> bool:
        """Whether a run of exactly these settings has its report."""
        if not self.folder.exists() or not self.folder.report().is_file():
            return False
        try:
            return load_run_config(self.folder) == self.config
        except UserError:
            return False


def candidates(study: Study, best: int) -> list[Candidate]:
    """The base, and the best trials that differ from it and from each other.

    Args:
        study: Optuna's.
        best: how many trials beside the base.

    Raises:
        UserError: the base has no score, or no other trial has.
    """
    finished = [
        trial for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)) if trial.values is not None
    ]
    base = next((trial for trial in finished if trial.user_attrs.get(trial_attrs.ORIGIN) == "base"), None)
    if base is None:
        raise UserError("--confirm: the base (trial 0) has no score to compare with")
    sign = -1 if study.directions[0].name == "MAXIMIZE" else 1
    ranked = sorted(finished, key=lambda trial: (sign * trial.values[0], trial.number))
    if len(study.directions) > 1:
        front = {trial.number for trial in study.best_trials}
        ranked.sort(key=lambda trial: trial.number not in front)
    chosen: list[FrozenTrial] = []
    for trial in ranked:
        # The base changes nothing; which other trial tried the same, its place in the space tells.
        is_base = not _changes(trial) or trial.params == base.params
        if not is_base and all(_changes(trial) != _changes(other) for other in chosen):
            chosen.append(trial)
    if not chosen:
        raise UserError("--confirm: no trial beside the base has a score")
    return [Candidate(base.number, base.values[0], {}, True)] + [
        Candidate(trial.number, trial.values[0], _changes(trial)) for trial in chosen[:best]
    ]


def _changes(trial: FrozenTrial) -> Changes:
    found: Changes = trial.user_attrs.get(trial_attrs.CHANGES, {})
    return found


def num_folds(data: DataSettings, seeds: int) -> int:
    """The number of folds: each of the size that validates in the study, and at least one for every seed."""
    usual = data.folds or round(1 / data.val_fraction)
    return max(usual, seeds, 2)


class Confirmation:
    """The confirming runs of one study.

    Args:
        plan: the study file, made out.
        folder: the study's.
        chosen: the base first.
        seeds: runs of each.

    Raises:
        UserError: a run's config is refused.
    """

    def __init__(self, plan: Plan, folder: StudyFolder, chosen: Sequence[Candidate], seeds: int) -> None:
        self.plan = plan
        self.folder = folder
        self.candidates = chosen
        self.seeds = seeds
        self.num_folds = num_folds(plan.base.data, seeds)
        # Seed by seed, so that an early end leaves whole comparisons.
        self.runs = [self._run(candidate, index) for index in range(seeds) for candidate in chosen]

    def _run(self, candidate: Candidate, index: int) -> ConfirmingRun:
        seed = self.plan.settings.seed
        config = self.plan.space.config(
            {
                **candidate.changes,
                "seed": derive(seed, "confirm", index),
                "data.split_seed": derive(seed, "confirm split"),
                "data.val_fraction": DataSettings.model_fields["val_fraction"].default,
                "data.folds": self.num_folds,
                "data.fold": index,
            }
        )
        return ConfirmingRun(candidate, index, config, RunFolder(self.folder.confirming_run(candidate.number, index)))

    def run(self, pool: Pool | RemotePool, progress: StudyProgress, interrupt: Interrupt) -> None:
        """Performs the runs that have no report yet.

        Raises:
            UserError: a run fails, or its worker dies again and again.
            KeyboardInterrupt: it was interrupted; what is done stays.
        """
        waiting = [run for run in self.runs if not run.is_done()]
        settings = self.plan.settings
        view = SweepStatus(settings.name, settings.objective, len(self.runs), phase="confirming")
        view.num_workers, view.finished = len(pool.workers), len(self.runs) - len(waiting)
        running: dict[int, ConfirmingRun] = {}
        losses: dict[str, int] = {}
        took: list[float] = []
        progress.begin(view)
        while waiting or running:
            if interrupt.asked:
                raise KeyboardInterrupt
            for worker in pool.idle()[: len(waiting)]:
                run = running[worker.number] = waiting.pop(0)
                view.running[worker.number] = RunningTrial(run.name, run.config.training.epochs, run.candidate.changes)
                worker.send(self._job(run))
            for worker, message in pool.listen(_TICK_S):
                if worker.number not in running:
                    continue
                if isinstance(message, Epoch):
                    view.running[worker.number].take(message.record)
                    progress.epoch(view.running[worker.number])
                    worker.send(True)
                    continue
                if isinstance(message, Warned):
                    progress.warn(f"{running[worker.number].name}: {message.text}")
                    continue
                run, shown = running.pop(worker.number), view.running.pop(worker.number)
                worker.idle = not isinstance(message, Lost)
                if isinstance(message, Failed):
                    raise UserError(f"--confirm: {run.name} failed: {message.message}")
                if isinstance(message, Lost):
                    losses[run.name] = losses.get(run.name, 0) + 1
                    if losses[run.name] == _LOSSES:
                        raise UserError(f"--confirm: {run.name} was lost {_LOSSES} times; {message.reason}")
                    progress.ended(f"{run.name}: lost, {message.reason}; queued again", "retried")
                    waiting.insert(0, run)
                    continue
                assert isinstance(message, Done)
                view.finished += 1
                took.append(time.monotonic() - shown.started)
                view.mean_seconds = statistics.fmean(took)
                progress.ended(f"{run.name}: {figures_in_words(message.figures)}", "finished")
            progress.tick()

    def _job(self, run: ConfirmingRun) -> Job:
        settings = self.plan.settings
        config = run.config.model_dump(mode="json")
        return Job(
            config,
            run.folder.path.absolute(),
            self.folder.reuse.absolute(),
            settings.objective,
            settings.keep_checkpoints,
        )
