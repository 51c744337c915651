"""The ends of trials, recorded in the storage."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import asdict

import optuna
from optuna.study import Study
from optuna.trial import Trial, TrialState

from multitask.errors import UserError
from multitask.reporting.study.report_schema import TrialScores
from multitask.study import trial_attrs
from multitask.study.folder import StudyFolder
from multitask.study.messages import Done
from multitask.study.metrics import figures_in_words
from multitask.study.pruners import History
from multitask.study.settings import StudySettings
from multitask.study.trial_queue import give_up, queue_lost
from multitask.utils.records import to_data


class Outcomes:
    """Records the ends of trials in the storage, and notifies a callback.

    Args:
        study: Optuna's.
        settings: the study file.
        folder: where the runs are.
        ended: called with the text and kind of each, as of ``StudyProgress.ended``.
    """

    def __init__(
        self, study: Study, settings: StudySettings, folder: StudyFolder, ended: Callable[[str, str], None]
    ) -> None:
        self.study = study
        self.settings = settings
        self.folder = folder
        self._ended = ended

    def finished(self, trial: Trial, history: History, message: Done, seconds: float) -> None:
        """A trial was trained to its end; one whose score is no number failed."""
        unknown = [metric for metric, value in message.figures.items() if value is None or not math.isfinite(value)]
        if unknown:
            self.failed(trial, f"{unknown[0]} is no number", history)
            return
        values = [message.figures[metric] or 0.0 for metric in self.settings.objective]
        if not self._keep(trial, TrialState.COMPLETE, values, history, message.scores, values[0], seconds):
            return
        best = len(values) == 1 and self.study.best_trial.number == trial.number
        text = f"trial {trial.number}: {figures_in_words(message.figures)} after {_epochs(history)}"
        self._ended(text + (", best so far" if best else ""), "best" if best else "finished")

    def pruned(self, trial: Trial, history: History, reason: str, seconds: float) -> None:
        """A trial was stopped early; it keeps its best score and its curves."""
        best = max(history, key=lambda row: -math.inf if row.joint is None else row.joint)
        reported = self.study._storage.get_trial(trial._trial_id).intermediate_values.values()
        pick = max if self.settings.directions[0] == "maximize" else min
        scores = TrialScores(best.joint, best.tasks)
        self.told(lambda: trial.set_user_attr(trial_attrs.NOTE, reason))
        if self._keep(trial, TrialState.PRUNED, None, history, scores, pick(reported, default=None), seconds):
            self._ended(f"trial {trial.number}: pruned after {_epochs(history)}, {reason}", "pruned")

    def failed(self, trial: Trial, message: str, history: History | None = None) -> None:
        """A trial ended in an error.

        Raises:
            UserError: as did too many before it.
        """
        attributes = {trial_attrs.FAILURE: message, trial_attrs.HISTORY: list(map(to_data, history or []))}
        if give_up(self.study, trial._trial_id, attributes):
            self._ended(f"trial {trial.number}: failed: {message}", "failed")
        row = trial_attrs.failures_in_a_row(self.study.get_trials(deepcopy=False))
        if len(row) >= self.settings.stop_after_failures:
            raise UserError(
                f"{self.settings.name}: stopped, since the last {len(row)} trials failed; the latest: {message}"
            )

    def lost(self, trial_id: int, reason: str, interrupted: bool = False) -> None:
        """A trial's worker is gone: the trial failed by no fault of its own, and is queued again.

        Args:
            trial_id: Optuna's.
            reason: what happened to the worker.
            interrupted: whether the launch was stopped on purpose.
        """
        number = self.study._storage.get_trial(trial_id).number
        attributes = {trial_attrs.FAILURE: reason, trial_attrs.LOST: True}
        if interrupted:
            attributes[trial_attrs.INTERRUPTED] = True
        if give_up(self.study, trial_id, attributes):
            shutil.rmtree(self.folder.trial(number), ignore_errors=True)
            again = number in queue_lost(self.study, self.settings.retries)
            then = "queued again" if again else "not queued again, since that was lost too often"
            self._ended(f"trial {number}: lost, {reason}; {then}", "retried" if again else "failed")

    def told(self, tell: Callable[[], object]) -> bool:
        """Whether the storage took a change of a trial: not where another launch had given the trial up."""
        try:
            tell()
        except optuna.exceptions.UpdateFinishedTrialError:
            return False
        except ValueError as error:
            if "Cannot tell" not in str(error):
                raise
            return False
        return True

    def _keep(
        self,
        trial: Trial,
        state: TrialState,
        values: list[float] | None,
        history: History,
        scores: TrialScores,
        best_score: float | None,
        seconds: float,
    ) -> bool:
        """Records how a trial ended, with its curves; whether it was still this launch's."""
        attributes = {
            trial_attrs.HISTORY: list(map(to_data, history)),
            trial_attrs.SCORES: asdict(scores),
            trial_attrs.BEST_SCORE: best_score,
            trial_attrs.SECONDS: seconds,
        }

        def tell() -> None:
            for key, value in attributes.items():
                trial.set_user_attr(key, value)
            self.study.tell(trial, values, state)

        kept = self.told(tell)
        if not kept:
            self._ended(f"trial {trial.number}: another launch had given it up; its result is dropped", "retried")
        return kept


def _epochs(history: History) -> str:
    return f"{len(history)} epoch{'s' if len(history) != 1 else ''}"
