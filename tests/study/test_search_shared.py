"""Launches that share a study: each trial is run once, the budget is exact, what nobody runs any more is found."""

from __future__ import annotations

import math
import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from multitask.reporting.study.report_schema import TrialScores
from multitask.study import search as search_module
from multitask.study import trial_attrs
from multitask.study.messages import Done, Failed, Job, Lost
from multitask.study.provenance import record_of
from multitask.study.settings import Plan
from multitask.study.storage import open_storage, open_study
from multitask.study.trial_queue import give_up, queue

Make = Callable[..., Any]

EARLY = {"interval_s": 1, "grace_s": 3}
PATIENT = {"interval_s": 1, "grace_s": 120}
"""Of a trial that lives, however long the machine stands still."""
KILLED = Lost("the worker was killed by SIGKILL")


def quality(config: dict[str, Any]) -> list[float]:
    """Two epochs of a run that likes some learning rates more than others."""
    last = math.exp(-abs(math.log(config["training"]["lr"] / 2e-3)))
    return [last / 2, last]


class Shared:
    """A study in a SQLite file that several launches share, seen from outside."""

    def __init__(self, plan: Plan, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        self.plan = plan
        self.study = open_study(open_storage(self.url, plan.settings.heartbeat), plan, record_of(plan, "data"), False)

    def ask(self) -> Any:
        """Takes a trial as another launch does, and never ends it."""
        with pytest.warns(UserWarning, match="Heartbeat"):
            return self.study.ask()

    def beat(self, trial: Any) -> None:
        self.study._storage.record_heartbeat(trial._trial_id)  # type: ignore[attr-defined]
        trial.set_user_attr(trial_attrs.WORKER, {"host": "elsewhere", "process": 1})

    def sql(self, statement: str, *values: object) -> None:
        with sqlite3.connect(self.path) as connection:
            connection.execute(statement, values)
        connection.close()

    def silent_for(self, trial: Any, seconds: float) -> None:
        """Puts a trial's start and last heartbeat back in time."""
        past = datetime.now() - timedelta(seconds=seconds)
        self.sql("update trials set datetime_start = ? where trial_id = ?", str(past), trial._trial_id)
        self.sql(
            "update trial_heartbeats set heartbeat = datetime('now', ?) where trial_id = ?",
            f"-{seconds} seconds",
            trial._trial_id,
        )


@pytest.fixture
def shared(make_plan: Make, tmp_path: Path) -> Callable[..., Shared]:
    def make(base: dict[str, Any] | None = None, **settings: Any) -> Shared:
        plan = make_plan(base=base, **{"heartbeat": EARLY, "pruner": "none", **settings})
        return Shared(plan, tmp_path / "shared.db")

    return make


@pytest.mark.parametrize("beats", [True, False], ids=["with heartbeats", "killed before the first heartbeat"])
def test_a_trial_without_a_sign_of_life_is_marked_and_queued_again(
    shared: Make, search: Make, trained: Make, watcher: Any, beats: bool, places: Make
) -> None:
    there = shared(budget={"trials": 4})
    base, sampled = there.ask(), there.ask()
    changes = there.plan.space.suggest(sampled)
    for trial in (base, sampled):
        if beats:
            there.beat(trial)
        there.silent_for(trial, 4)
    study = search(there.plan, trained(quality), url=there.url, progress=watcher)
    assert len(places(study.trials)) == 4
    for trial in study.trials[:2]:
        assert trial.state == TrialState.FAIL
        assert trial.user_attrs[trial_attrs.FAILURE] == "no sign of life for 3 s"
    again = places(study.trials)[sampled.number][-1]
    assert again.state == TrialState.COMPLETE
    assert again.params["training.lr"] == changes["training.lr"]
    assert places(study.trials)[0][-1].user_attrs[trial_attrs.CHANGES] == {}
    assert len(watcher.told("retried")) == 2


def test_a_trial_that_lives_elsewhere_is_left_alone_and_waited_for(
    shared: Make, search: Make, trained: Make, watcher: Any
) -> None:
    there = shared(budget={"trials": 3}, heartbeat=PATIENT)
    other = there.ask()
    there.beat(other)
    waited = 0

    def on_tick() -> None:
        # Lives until this launch has nothing else to do, and dies then.
        nonlocal waited
        if any("waiting for trial 0" in line for line in watcher.told("said")):
            waited += 1
            if waited == 5:
                there.silent_for(other, 121)

    watcher.on_tick = on_tick
    study = search(there.plan, trained(quality), url=there.url, progress=watcher)
    assert waited >= 5
    assert watcher.told("said") == ["waiting for trial 0, which another launch runs or has lost"]
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert study.trials[3].user_attrs[trial_attrs.RETRY_OF] == 0
    assert study.trials[3].user_attrs[trial_attrs.ORIGIN] == "base"


def test_a_launch_that_was_held_up_does_not_take_its_own_trials_for_lost(
    shared: Make, search: Make, trained: Make
) -> None:
    there = shared(budget={"trials": 1})
    began = datetime.now()

    def held_up(job: Job, epoch: int) -> Done | None:
        there.silent_for(there.study.trials[0], 100)
        done = Done(dict.fromkeys(job.metrics, 0.5), TrialScores(0.5, {}), 1.0)
        return done if datetime.now() > began + timedelta(seconds=2) else None  # it looks for the lost every second

    study = search(there.plan, trained(lambda config: [0.5] * 10_000, held_up), url=there.url)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE]


def test_a_trial_that_ends_elsewhere_counts(shared: Make, search: Make, trained: Make, watcher: Any) -> None:
    there = shared(budget={"trials": 3}, heartbeat=PATIENT)
    other = there.ask()
    there.beat(other)

    def on_tick() -> None:
        if watcher.told("said") and there.study.trials[0].state == TrialState.RUNNING:
            there.study.tell(other, 0.25)

    watcher.on_tick = on_tick
    study = search(there.plan, trained(quality), url=there.url, progress=watcher)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3


@pytest.mark.parametrize("how", ["finished", "stopped", "failed", "lost"])
def test_a_trial_that_was_given_up_elsewhere_and_then_ends_is_dropped(
    shared: Make, search: Make, trained: Make, watcher: Any, how: str
) -> None:
    there = shared(budget={"trials": 1})
    epochs = []
    when = 3 if how == "finished" else 1

    def given_up(job: Job, epoch: int) -> Failed | Lost | None:
        epochs.append((job.out.name, epoch))
        if job.out.name != "0000" or epoch != when:
            return None
        # As another launch does that heard nothing for too long.
        give_up(
            there.study,
            there.study.trials[0]._trial_id,
            {trial_attrs.FAILURE: "no sign of life", trial_attrs.LOST: True},
        )
        return {"failed": Failed("too late"), "lost": Lost("too late")}.get(how)

    def curve(config: dict[str, Any]) -> list[float]:
        return [0.5, 0.4, 0.3]

    part = trained(curve, given_up)
    study = search(there.plan, part, url=there.url, progress=watcher)
    lost, again = study.trials
    assert lost.state == TrialState.FAIL
    assert lost.user_attrs[trial_attrs.FAILURE] == "no sign of life"
    assert lost.values is None
    assert again.state == TrialState.COMPLETE
    assert again.user_attrs[trial_attrs.RETRY_OF] == 0
    # It is stopped as soon as the storage refuses a score of it.
    assert [epoch for name, epoch in epochs if name == "0000"] == {"finished": [1, 2, 3], "stopped": [1, 2]}.get(
        how, [1]
    )
    if how in ("finished", "stopped"):
        assert any("another launch had given it up" in text for _, text in watcher.lines)


@pytest.mark.parametrize("when", ["before its first parameter", "before the worker has it", "while it is judged"])
def test_a_launch_that_is_held_up_while_another_gives_its_trial_up_goes_on(
    shared: Make, search: Make, trained: Make, watcher: Any, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = shared({"training.epochs": 3}, budget={"trials": 3}, pruner="hyperband")
    held_up = []
    last_step = 1 if when == "while it is judged" else None  # where Hyperband has its first rung, and writes it down

    def given_up_once(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            running = there.study.get_trials(states=(TrialState.RUNNING,))
            if not held_up and running[0].number == 1 and running[0].last_step == last_step:
                held_up.append(running[0])
                give_up(there.study, running[0]._trial_id, {trial_attrs.FAILURE: "silent", trial_attrs.LOST: True})
            return real(*args)

        return call

    place, name = {
        "before its first parameter": (search_module, "this_worker"),
        "before the worker has it": (there.plan.space, "suggest"),
        "while it is judged": (search_module, "FinishedHistories"),
    }[when]
    monkeypatch.setattr(place, name, given_up_once(getattr(place, name)))
    study = search(there.plan, trained(lambda config: [0.3, 0.4, 0.5]), url=there.url, progress=watcher)
    assert held_up
    assert sum(trial_attrs.is_lost(trial) for trial in study.trials) == 1
    assert len(trial_attrs.counted(study.trials, there.plan.settings.retries)) == 3
    assert [trial.user_attrs.get(trial_attrs.RETRY_OF) for trial in study.trials].count(1) == 1
    assert any("another launch had given it up" in text for _, text in watcher.lines)


def test_what_two_launches_queued_is_run_once(shared: Make, search: Make, trained: Make, places: Make) -> None:
    there = shared(budget={"trials": 4})
    params, distributions = there.study.trials[0].params, there.study.trials[0].distributions
    queue(
        there.study, params, distributions, {trial_attrs.ORIGIN: "base"}
    )  # another launch that began at the same moment
    lost = there.ask()
    there.beat(lost)
    there.study._storage.set_trial_user_attr(lost._trial_id, trial_attrs.LOST, True)
    there.study.tell(lost, state=TrialState.FAIL)
    for _ in range(2):
        queue(
            there.study,
            params,
            distributions,
            {trial_attrs.ORIGIN: "base", trial_attrs.RETRY_OF: 0, trial_attrs.ATTEMPT: 1},
        )
    ran = []

    def part(job: Job) -> Any:
        ran.append(job.out.name)
        return trained(quality)(job)

    study = search(there.plan, part, url=there.url, workers=2)
    surplus = [trial.number for trial in study.trials if trial_attrs.is_surplus(trial)]
    assert surplus == [1, 3]
    assert len(places(study.trials)) == 4
    assert sum(trial.state == TrialState.COMPLETE for trial in study.trials) == 4 == len(ran)
    assert sum(trial.user_attrs.get(trial_attrs.ORIGIN) == "base" for trial in study.trials if trial.values) == 1


def test_a_lost_trial_keeps_its_place_until_it_is_queued_again(shared: Make, search: Make, trained: Make) -> None:
    """A launch was killed after it marked a trial as lost and before it queued it again; the last trial too."""
    there = shared(budget={"trials": 2})
    search(there.plan, trained(quality), url=there.url)
    there.sql("update trials set state = 'FAIL' where number = 1")
    there.sql("insert into trial_user_attributes (trial_id, key, value_json) values (2, 'lost', 'true')")
    study = search(there.plan, trained(quality), url=there.url, out="elsewhere", workers=3)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert study.trials[2].user_attrs[trial_attrs.RETRY_OF] == 1
    assert study.trials[2].params == study.trials[1].params


# What is silenced in one thread another may unsilence.
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("seed", range(3))
def test_launches_side_by_side_keep_the_budget_and_run_everything_once(
    shared: Make, search: Make, trained: Make, tmp_path: Path, seed: int, places: Make
) -> None:
    # Neither launch gives up what the other runs.
    there = shared(budget={"trials": 20}, retries=50, heartbeat=PATIENT)
    ran = Counter[str]()
    lock = threading.Lock()

    def kills(job: Job, epoch: int) -> Lost | None:
        if epoch > 1:
            return None
        with lock:
            ran[job.out.name] += 1
            return KILLED if rng.random() < 0.25 else None

    rng = random.Random(seed)
    errors = []

    def launch(name: str) -> None:
        try:
            search(there.plan, trained(quality, kills), url=there.url, out=name, workers=2)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=launch, args=(f"launch-{index}",)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert not errors
    trials = there.study.trials
    assert len(places(trials)) == 20
    assert all(chain[-1].state == TrialState.COMPLETE for chain in places(trials).values())
    assert set(ran.values()) == {1}
    assert len(ran) == sum(not trial_attrs.is_surplus(trial) for trial in trials)


def test_trials_of_a_launch_that_was_killed_are_found_at_once_where_nobody_else_can_run_them(
    search: Make, make_plan: Make, trained: Make, watcher: Any, tmp_path: Path
) -> None:
    plan = make_plan(budget={"trials": 5}, pruner="none")
    search(make_plan(budget={"trials": 3}, pruner="none"), trained(quality))
    there = optuna.load_study(study_name="test", storage=f"sqlite:///{tmp_path / 'study' / 'study.db'}")
    killed = there.ask()
    plan.space.suggest(killed)
    left = tmp_path / "study" / "trials" / "0003"
    left.mkdir(parents=True)
    study = search(plan, trained(quality), progress=watcher)
    lost = study.trials[3]
    assert lost.user_attrs[trial_attrs.FAILURE] == "the launch that ran it was killed"
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3 + ["FAIL"] + ["COMPLETE"] * 2
    assert [trial.params for trial in study.trials if trial.user_attrs.get(trial_attrs.RETRY_OF) == 3] == [lost.params]
    assert not left.exists()


def test_processes_share_a_sqlite_file_and_one_that_is_killed_costs_no_trial(
    share: Make, tmp_path: Path, places: Make
) -> None:
    trials = share(f"sqlite:///{tmp_path}/shared.db", trials=6, workers=1)
    assert len(places(trials)) == 6
    assert all(chain[-1].state == TrialState.COMPLETE for chain in places(trials).values())
    (lost,) = (trial for trial in trials if trial_attrs.is_lost(trial))
    assert lost.user_attrs[trial_attrs.FAILURE] == "no sign of life for 6 s"
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.FAIL}
