"""Several machines at one study, of which one goes: they share it by TCP alone, and nothing is lost."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest
from optuna.trial import TrialState

from multitask.executors import Executor, ExecutorSettings, StartedWorker
from multitask.study import trial_attrs
from multitask.study.folder import StudyFolder
from multitask.study.settings import Plan
from multitask.study.study import run_study
from tests.executors.process_worker import ProcessWorker
from tests.processes import MACHINE, Forked, stops_after, wait_until_stopped
from tests.study.conftest import AN_EPOCH
from tests.study.machines import Machine, machines
from tests.study.postgres import Server, started

Make = Callable[..., Any]


@pytest.fixture
def hosts() -> Iterator[list[Machine]]:
    """Two of them."""
    with machines(2) as made:
        yield made


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """PostgreSQL on this machine; at all its addresses, of which the machines know one each."""
    with started("0.0.0.0") as server:
        yield server


def test_of_two_machines_at_a_study_one_loses_its_power_and_no_trial_is_lost_or_counted_twice(
    hosts: list[Machine], server: Server, start: Make, study_file: Make, read: Make, places: Make, tmp_path: Path
) -> None:
    server.make_database("shared")
    num_trials = 4
    file = study_file(
        None, {"training.epochs": 6}, budget={"trials": num_trials}, heartbeat={"interval_s": 1, "grace_s": 6},
        pruner="none",
    )  # fmt: skip

    def started_at(host: Machine, stops: Mapping[str, str]) -> Any:
        url = server.url("shared", host=host.gateway)
        return start(file, "--storage", url, "--out", tmp_path / host.name, machine=host.name, stops=stops)

    one = started_at(hosts[0], stops_after(AN_EPOCH))
    wait_until_stopped(one.process)
    two = started_at(hosts[1], {})
    two.wait_for(lambda: any((tmp_path / hosts[1].name).glob("trials/*/metrics.jsonl")))
    hosts[0].unplug()
    killed = hosts[0].kill()
    assert len(killed) == 2  # the launch and its worker
    psutil.wait_procs([psutil.Process(pid) for pid in killed if psutil.pid_exists(pid)], timeout=30)
    assert not hosts[0].pids()
    assert two.wait(240) == 0, two.output
    trials = read(server.url("shared", host="127.0.0.1"))
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.FAIL}
    assert len(places(trials)) == num_trials
    assert sum(trial.state == TrialState.COMPLETE for trial in trials) == num_trials
    assert all(chain[-1].state == TrialState.COMPLETE for chain in places(trials).values())
    ran = {trial.user_attrs[trial_attrs.WORKER]["host"] for trial in trials if not trial_attrs.is_surplus(trial)}
    assert ran == {host.name for host in hosts}
    [lost] = [
        trial
        for trial in trials
        if trial_attrs.is_lost(trial) and trial.user_attrs[trial_attrs.WORKER]["host"] == hosts[0].name
    ]
    assert lost.user_attrs[trial_attrs.FAILURE] == "no sign of life for 6 s"
    [again] = [trial for trial in trials if trial.user_attrs.get(trial_attrs.RETRY_OF) == lost.number]
    assert again.user_attrs[trial_attrs.WORKER]["host"] == hosts[1].name
    assert again.params == lost.params
    assert again.user_attrs[trial_attrs.CHANGES] == lost.user_attrs[trial_attrs.CHANGES]


def test_a_launch_whose_database_loses_its_power_ends_in_a_line(
    hosts: list[Machine], server: Server, start: Make, study_file: Make, tmp_path: Path
) -> None:
    server.make_database("silent")
    file = study_file(None, {"training.epochs": 1000}, heartbeat={"interval_s": 1, "grace_s": 6})
    url = server.url("silent", host=hosts[0].gateway)
    launch = start(file, "--storage", url, "--out", tmp_path / "out", machine=hosts[0].name)
    launch.wait_for(lambda: any(tmp_path.glob("out/trials/*/metrics.jsonl")))
    hosts[0].unplug()
    assert launch.wait(120) == 2, launch.output
    last = launch.output.strip().splitlines()[-1]
    assert last.startswith(f"error: --storage: {hosts[0].gateway}:{server.port} cannot be reached: "), last
    assert not hosts[0].pids()


class _Elsewhere(Executor):
    """Starts workers on two machines in turn, which reach the launch at its address in the first one's network."""

    def __init__(self, hosts: list[Machine]) -> None:
        self.host = hosts[0].gateway
        self._hosts = hosts
        self._started: list[ProcessWorker] = []

    def start(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> StartedWorker:
        machine = self._hosts[len(self._started) % 2].name
        with log.open("ab") as file:
            process = Forked(
                [sys.executable, *words], env={**os.environ, **environment, MACHINE: machine}, stdout=file, stderr=file
            )
        self._started.append(ProcessWorker(process))
        return self._started[-1]

    def close(self) -> None:
        for worker in self._started:
            worker.process.kill()
            worker.process.wait(30)


def test_a_launchs_workers_connect_from_other_machines_of_which_one_loses_its_power(
    hosts: list[Machine], make_plan: Make, watcher: Any, read: Make, places: Make, tmp_path: Path
) -> None:

    class ElsewhereSettings(ExecutorSettings):
        name: Literal["elsewhere"] = "elsewhere"

        def open(self, folder: Path) -> Executor:
            return _Elsewhere(hosts)

    plan = make_plan(
        None, {"training.epochs": 3}, budget={"trials": 3}, heartbeat={"interval_s": 1, "grace_s": 6}, pruner="none"
    )
    plan = Plan(plan.settings.model_copy(update={"executor": ElsewhereSettings()}), plan.base)
    killed: list[int] = []

    def cut() -> None:
        if not killed and any(trial.epoch for trial in watcher.view.running.values()):
            hosts[0].unplug()
            killed.extend(hosts[0].kill())

    watcher.on_tick = cut
    report = run_study(plan, StudyFolder(tmp_path / "out"), watcher)
    assert len(killed) == 1
    assert report.counts.finished == 3
    trials = read(f"sqlite:///{tmp_path}/out/study.db")
    [lost] = [trial for trial in trials if trial.state == TrialState.FAIL]
    assert lost.user_attrs[trial_attrs.FAILURE] == f"the worker on {hosts[0].name} showed no sign of life for 6 s"
    assert [len(chain) for chain in places(trials).values()] == [2, 1, 1]
    assert all(chain[-1].state == TrialState.COMPLETE for chain in places(trials).values())
    for trial in trials:
        at = hosts[0] if trial is lost else hosts[1]
        assert trial.user_attrs[trial_attrs.WORKER]["host"] == at.name
