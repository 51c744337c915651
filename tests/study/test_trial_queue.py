from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.study import Study
from optuna.trial import TrialState

from multitask.study import trial_attrs
from multitask.study.provenance import record_of
from multitask.study.settings import HeartbeatSettings
from multitask.study.storage import folder_url, open_storage, open_study
from multitask.study.trial_queue import give_up, queue, queue_lost, stale_trials, without_heartbeat_warning

Make = Callable[..., Any]

HEARTBEAT = HeartbeatSettings(interval_s=1, grace_s=3)


@pytest.fixture
def study(make_plan: Make, tmp_path: Path) -> Iterator[Study]:
    """With the base's trial, in a storage of its own."""
    storage = open_storage(folder_url(tmp_path / "study.db"), HEARTBEAT)
    plan = make_plan()
    yield open_study(storage, plan, record_of(plan, "data"), False)
    storage.engine.dispose()


def ask(study: Study) -> Any:
    with without_heartbeat_warning():
        return study.ask()


def test_what_is_given_up_fails_with_its_reason_once(study: Study) -> None:
    trial = ask(study)
    assert give_up(study, trial._trial_id, {trial_attrs.FAILURE: "killed", trial_attrs.LOST: True})
    assert not give_up(study, trial._trial_id, {trial_attrs.FAILURE: "killed again"})
    (found,) = study.trials
    assert found.state == TrialState.FAIL
    assert found.user_attrs == {trial_attrs.ORIGIN: "base", trial_attrs.FAILURE: "killed", trial_attrs.LOST: True}


def test_what_ended_is_not_given_up(study: Study) -> None:
    trial = ask(study)
    study.tell(trial, 0.5)
    assert not give_up(study, trial._trial_id, {trial_attrs.FAILURE: "killed"})
    assert study.trials[0].state == TrialState.COMPLETE
    assert trial_attrs.FAILURE not in study.trials[0].user_attrs


def silent_for(study: Study, trial: Any, seconds: int) -> None:
    with study._storage._backend.engine.begin() as connection:  # type: ignore[attr-defined]
        for table, column in (("trials", "datetime_start"), ("trial_heartbeats", "heartbeat")):
            moment = f"strftime('%Y-%m-%d %H:%M:%f', {column}, '-{seconds} seconds')"
            connection.exec_driver_sql(f"update {table} set {column} = {moment} where trial_id = {trial._trial_id}")


@pytest.mark.parametrize("beats", [True, False])
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(("seconds", "stale"), [(0, False), (2, False), (4, True)])
def test_a_trial_is_stale_when_nobody_told_that_it_lives(
    study: Study, beats: bool, told: bool, seconds: int, stale: bool
) -> None:
    trial = ask(study)
    if beats:
        study._storage.record_heartbeat(trial._trial_id)  # type: ignore[attr-defined]
    if told and beats:
        trial.set_user_attr(trial_attrs.WORKER, {"process": 1})
    silent_for(study, trial, seconds)
    assert [found.number for found in stale_trials(study, HEARTBEAT)] == ([trial.number] if stale else [])


def test_trials_that_wait_or_ended_are_never_stale(study: Study) -> None:
    trial = ask(study)
    study._storage.record_heartbeat(trial._trial_id)  # type: ignore[attr-defined]
    silent_for(study, trial, 100)
    study.tell(trial, 0.5)
    queue(study, {}, {}, {})
    assert stale_trials(study, HEARTBEAT) == []


def test_what_was_lost_is_queued_once_with_its_settings(study: Study, make_plan: Make) -> None:
    space = make_plan().space
    for _ in range(2):
        trial = ask(study)
        space.suggest(trial)
        give_up(study, trial._trial_id, {trial_attrs.FAILURE: "killed", trial_attrs.LOST: True})
    assert queue_lost(study, 5) == [0, 1]
    assert queue_lost(study, 5) == []
    base, sampled, base_again, sampled_again = study.trials
    assert base_again.params == base.params
    assert base_again.user_attrs == {trial_attrs.ORIGIN: "base", trial_attrs.RETRY_OF: 0, trial_attrs.ATTEMPT: 1}
    assert sampled_again.params == sampled.params
    assert sampled_again.distributions == sampled.distributions
    again = ask(study), ask(study)
    space.suggest(again[1])
    assert again[1].params == sampled.params  # nothing is drawn anew
