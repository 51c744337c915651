"""Trials in a storage: queued, given up, and found where nobody runs them any more."""

from __future__ import annotations

import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from multitask.study import trial_attrs
from multitask.study.settings import HeartbeatSettings
from multitask.study.space import Params


def queue(
    study: Study, params: Params, distributions: dict[str, BaseDistribution], attributes: Mapping[str, Any]
) -> None:
    """Adds a trial with these parameters that waits to be run."""
    study.add_trial(
        create_trial(state=TrialState.WAITING, params=params, distributions=distributions, user_attrs=dict(attributes))
    )


def give_up(study: Study, trial_id: int, attributes: Mapping[str, Any]) -> bool:
    """Marks a running trial as failed.

    Args:
        study: the study.
        trial_id: Optuna's id of the trial.
        attributes: why, as in ``trial_attrs``; written first, so that a failed trial always says why.

    Returns:
        Whether it was still running.
    """
    storage = study._storage
    try:
        for key, value in attributes.items():
            storage.set_trial_user_attr(trial_id, key, value)
        return bool(storage.set_trial_state_values(trial_id, state=TrialState.FAIL))
    except optuna.exceptions.UpdateFinishedTrialError:
        return False


def stale_trials(study: Study, heartbeat: HeartbeatSettings) -> list[FrozenTrial]:
    """Running trials whose heartbeat has stopped, of any launch."""
    storage: Any = study._storage
    silent = set(storage._get_stale_trial_ids(study._study_id))
    now = datetime.now()
    found = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        # One that died before its first heartbeat has none, which Optuna takes for a trial without heartbeats.
        mute = trial_attrs.WORKER not in trial.user_attrs and trial.datetime_start is not None
        if trial._trial_id in silent or (
            mute and now - trial.datetime_start > timedelta(seconds=heartbeat.grace_s)  # type: ignore[operator]
        ):
            found.append(trial)
    return found


def queue_lost(study: Study, retries: int) -> list[int]:
    """Queues every lost trial that is not queued again yet and was not lost too often; their numbers."""
    trials = study.get_trials(deepcopy=False)
    numbers = []
    for trial in trial_attrs.without_successor(trials, retries):
        attributes = {
            trial_attrs.ORIGIN: trial.user_attrs.get(trial_attrs.ORIGIN, "sampled"),
            trial_attrs.RETRY_OF: trial.number,
            trial_attrs.ATTEMPT: trial.user_attrs.get(trial_attrs.ATTEMPT, 0)
            + (trial_attrs.INTERRUPTED not in trial.user_attrs),
        }
        queue(study, trial.params, trial.distributions, attributes)
        numbers.append(trial.number)
    return numbers


@contextmanager
def without_heartbeat_warning() -> Iterator[None]:
    """Optuna warns where heartbeats are used outside its own loop, whose part we take."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed")
        yield


def this_worker(process: int, host: str = "") -> dict[str, str | int]:
    """The name of a worker, for a trial's user attributes; on this machine where no host is given."""
    return {
        "host": host or socket.gethostname(),
        "process": process,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
