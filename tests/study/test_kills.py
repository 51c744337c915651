"""Real processes, killed at any moment: nothing is lost, nothing counts twice, nothing is left."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from optuna.trial import FrozenTrial, TrialState

from multitask.study import study, trial_attrs
from multitask.study.folder import StudyFolder
from multitask.study.pool import Pool, Worker
from tests.processes import stops_after, wait_until_stopped
from tests.study.conftest import AN_EPOCH

Make = Callable[..., Any]

SPACE = {"heads": "head_weights", "augment.strength": {"low": 0.0, "high": 1.0}}


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> list[Pool]:
    """The pools that studies make from here on."""
    made: list[Pool] = []

    class WatchedPool(Pool):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(study, "Pool", WatchedPool)
    return made


def check(found: list[FrozenTrial], trials: int, places: Make) -> None:
    """Every trial is accounted for, none runs, none finished twice."""
    assert not [trial for trial in found if trial.state in (TrialState.RUNNING, TrialState.WAITING)]
    assert len(places(found)) == trials
    for chain in places(found).values():
        *lost, last = chain
        assert last.state == TrialState.COMPLETE
        for trial in lost:
            assert trial.state == TrialState.FAIL
            assert trial.user_attrs[trial_attrs.LOST]
            assert trial.user_attrs[trial_attrs.FAILURE]
            assert trial.params.items() <= last.params.items()
            if trial.user_attrs.get(trial_attrs.CHANGES):  # it had been given its settings
                assert trial.user_attrs[trial_attrs.CHANGES] == last.user_attrs[trial_attrs.CHANGES]


def test_twenty_killed_workers_cost_no_trial(
    make_plan: Make, tmp_path: Path, watcher: Any, pools: list[Pool], forked_workers: None, read: Make, places: Make
) -> None:
    trials, kills = 8, 20
    plan = make_plan(SPACE, {"training.epochs": 6}, budget={"trials": trials}, workers=3, pruner="none", retries=kills)
    rng = random.Random(0)
    killed: list[Worker] = []
    due, without_trial = 0.0, 0

    def on_tick() -> None:
        nonlocal due, without_trial
        now = time.monotonic()
        alive = [worker for worker in pools[0].workers if worker.process.poll() is None]
        if without_trial == kills // 2:
            alive = [worker for worker in alive if worker.number in watcher.view.running]
        # Not all trials may end before all kills are done.
        if alive and len(killed) < kills and (now >= due or watcher.view.finished > trials // 2):
            worker = rng.choice(alive)
            worker.process.kill()
            killed.append(worker)
            without_trial += worker.number not in watcher.view.running
            due = now + rng.uniform(0, 1.5)

    watcher.on_tick = on_tick
    report = study.run_study(plan, StudyFolder(tmp_path / "out"), watcher)
    assert len(killed) == kills
    found = read(f"sqlite:///{tmp_path}/out/study.db")
    check(found, trials, places)
    lost = [trial for trial in found if trial.state == TrialState.FAIL]
    assert kills // 2 <= len(lost) <= kills  # the others had no trial yet, or had just ended it
    assert {trial.user_attrs[trial_attrs.FAILURE] for trial in lost} == {
        "the worker was killed by SIGKILL (out of memory, perhaps)"
    }
    assert report.counts.finished == trials
    assert report.counts.retried == len(lost)
    finished = {f"{trial.number:04d}" for trial in found if trial.state == TrialState.COMPLETE}
    assert {path.name for path in (tmp_path / "out" / "trials").iterdir()} == finished
    assert not any(psutil.pid_exists(worker.process.pid) for worker in killed + pools[0].workers)


def test_a_stopped_worker_is_ended_and_its_trial_queued_again(
    make_plan: Make, tmp_path: Path, watcher: Any, pools: list[Pool], forked_workers: None, read: Make, places: Make
) -> None:
    plan = make_plan(
        SPACE, {"training.epochs": 4}, budget={"trials": 2}, heartbeat={"interval_s": 1, "grace_s": 4}, pruner="none",
        retries=20,  # of workers that the machine holds up for as long
    )  # fmt: skip
    stopped: list[Worker] = []

    def on_tick() -> None:
        if not stopped and any(trial.epoch for trial in watcher.view.running.values()):
            stopped.append(pools[0].workers[0])
            os.kill(stopped[0].process.pid, signal.SIGSTOP)

    watcher.on_tick = on_tick
    study.run_study(plan, StudyFolder(tmp_path / "out"), watcher)
    found = read(f"sqlite:///{tmp_path}/out/study.db")
    check(found, 2, places)
    assert found[0].user_attrs[trial_attrs.FAILURE] == "the worker showed no sign of life for 4 s"
    assert stopped[0].process.returncode == -signal.SIGKILL


def test_a_launch_can_be_killed_at_any_moment(
    start: Make, study_file: Make, read: Make, tmp_path: Path, places: Make
) -> None:
    out = tmp_path / "out"
    words = (study_file(SPACE, {"training.epochs": 6}, budget={"trials": 6}, pruner="none"), "--out", out)
    rng = random.Random(1)
    kept: dict[int, list[float]] = {}
    killed: set[int] = set()

    def trials() -> list[FrozenTrial]:
        return read(f"sqlite:///{out}/study.db") if (out / "study.yaml").exists() else []

    def finished() -> dict[int, list[float]]:
        return {trial.number: trial.values for trial in trials() if trial.values}

    def running() -> set[int]:
        return {trial.number for trial in trials() if trial.state == TrialState.RUNNING}

    # At first within what a study begins with, once as a trial begins, and later while trials run.
    begun, done = (
        stops_after("multitask.study.search:Search._start"),
        stops_after(AN_EPOCH, "args[0].view.finished >= 2"),
    )
    for number, stops in enumerate((begun, begun, begun, done)):
        launch = start(*words, "--workers", 2, stops=stops)
        if number >= 2:
            wait_until_stopped(launch.process)
            assert running() - killed
        if number == 3:
            launch.process.send_signal(signal.SIGCONT)
        if number != 2:
            time.sleep(rng.uniform(0, 1))  # the moment is what is tried here
        workers = launch.kill()
        _, alive = psutil.wait_procs(workers, timeout=60)
        assert not alive
        assert kept.items() <= finished().items()
        kept = finished()
        killed |= running()
    launch = start(*words, "--workers", 2)
    assert launch.wait() == 0, launch.output
    assert kept.items() <= finished().items()
    found = read(f"sqlite:///{out}/study.db")
    check(found, 6, places)
    lost = [trial for trial in found if trial.state == TrialState.FAIL]
    assert killed
    assert {trial.number for trial in lost} == killed
    assert {trial.user_attrs[trial_attrs.FAILURE] for trial in lost} == {"the launch that ran it was killed"}
    assert (out / "study.html").is_file()
    assert not (out / "reuse").exists()
