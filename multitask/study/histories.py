"""The epochs of finished trials, which pruners may compare a trial with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from optuna.study import Study
from optuna.trial import TrialState

from multitask.reporting.study.report_schema import TrialEpoch
from multitask.study import trial_attrs
from multitask.study.pruners import History


class FinishedHistories(Mapping[int, History]):
    """Trial's number -> its epochs, of every finished trial; read from the storage once something is asked of it.

    Args:
        study: Optuna's.
        known: those that were read before, to which new ones are added.
    """

    def __init__(self, study: Study, known: dict[int, History]) -> None:
        self._study = study
        self._known = known

    def __getitem__(self, number: int) -> History:
        return self._found[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    @cached_property
    def _found(self) -> dict[int, History]:
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            if trial.number not in self._known:
                rows = trial.user_attrs.get(trial_attrs.HISTORY, [])
                self._known[trial.number] = [TrialEpoch(**row) for row in rows]
        return self._known
