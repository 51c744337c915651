"""Studies whose workers an executor starts: real ones, lost and gone, and nothing is lost of the study."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from optuna.trial import TrialState

from multitask.errors import UserError
from multitask.study import trial_attrs
from multitask.study.folder import StudyFolder
from multitask.study.study import run_study
from tests.processes import marked, stops_after

Make = Callable[..., Any]

LOCAL = {"name": "submitit", "cluster": "local"}


def plan_of(make_plan: Make, executor: Any) -> Any:
    """A study of two trials; only its executor differs."""
    return make_plan(None, {"training.epochs": 3}, budget={"trials": 2}, pruner="none", executor=executor)


def descendants() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def study_workers() -> list[psutil.Process]:
    return [process for process in descendants() if "multitask.study.worker" in process.cmdline()[:5]]


def test_a_ray_that_is_killed_is_one_line_and_another_executor_goes_on_even_where_its_worker_is_lost(
    make_plan: Make, tmp_path: Path, watcher: Any, read: Make, places: Make, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    url = f"sqlite:///{tmp_path}/out/study.db"
    seen: list[str] = []

    def kill_ray() -> None:
        if not seen and any(trial.epoch for trial in watcher.view.running.values()):
            seen.append("ray")
            for worker in study_workers():
                worker.suspend()  # Ray is missed after seconds, in which they would end their trials
            for process in descendants():
                if "gcs_server" in process.name():
                    process.kill()
                    return
            raise AssertionError("Ray has no head")

    watcher.on_tick = kill_ray
    with pytest.raises(UserError) as error:
        run_study(plan_of(make_plan, "ray"), StudyFolder(tmp_path / "out"), watcher)
    assert re.fullmatch(r"executor: the Ray of this launch is gone[:;] .*", str(error.value))
    assert not study_workers()
    first = read(url)
    begun = [trial for trial in first if trial.state not in (TrialState.WAITING, TrialState.COMPLETE)]
    assert all(trial.user_attrs[trial_attrs.FAILURE] for trial in begun)
    assert not [trial for trial in first if trial.state == TrialState.RUNNING]

    def kill_worker() -> None:
        if len(seen) == 1 and any(trial.epoch for trial in watcher.view.running.values()):
            seen.append("worker")
            os.kill(study_workers()[0].pid, signal.SIGKILL)

    monkeypatch.setattr("multitask.executors.pool._WORD_S", 120.0)
    watcher.on_tick = kill_worker
    report = run_study(plan_of(make_plan, LOCAL), StudyFolder(tmp_path / "out"), watcher)
    assert seen == ["ray", "worker"]
    assert report.counts.finished == 2
    found = read(url)
    assert all(chain[-1].state == TrialState.COMPLETE for chain in places(found).values())
    host = os.uname().nodename
    failures = {trial.user_attrs.get(trial_attrs.FAILURE) or "" for trial in found}
    assert any(re.fullmatch(rf"job \d+: the worker on {host} was killed", failure) for failure in failures)
    assert {trial.user_attrs[trial_attrs.WORKER]["host"] for trial in found} == {host}
    assert not study_workers()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("executor", ["ray", LOCAL], ids=["ray", "submitit"])
def test_an_interrupt_leaves_nothing_running_and_the_study_goes_on(
    study_file: Make, start: Make, read: Make, tmp_path: Path, executor: Any
) -> None:
    out, url = tmp_path / "out", f"sqlite:///{tmp_path}/out/study.db"
    settings = {"budget": {"trials": 1}, "pruner": "none", "executor": executor}
    words = (study_file(None, {"training.epochs": 400}, **settings), "--out", out)

    def interrupted(when: Callable[[], Any], before_trials: bool) -> None:
        # The mark all that it starts inherits; where the first worker is asked for the launch stands still.
        stops = stops_after("multitask.executors.pool:RemotePool._start") if before_trials else {}
        launch = start(*words, mark=str(tmp_path), stops=stops)
        launch.wait_for(when, 120)
        launch.process.send_signal(signal.SIGINT)
        launch.process.send_signal(signal.SIGCONT)
        time.sleep(0.1)
        if launch.process.poll() is None:
            launch.process.send_signal(signal.SIGINT)  # impatient, as people are
        # Its own code, unless the second one came once it was said, as the interpreter ended.
        assert launch.wait(60) in (130, 1, -signal.SIGINT), launch.output
        assert "interrupted" in launch.output or launch.process.returncode == 130
        until = time.monotonic() + 60
        while (left := marked(str(tmp_path))) and time.monotonic() < until:  # killed, but not yet gone
            time.sleep(0.05)
        assert not left

    interrupted(lambda: marked(str(tmp_path)), True)  # as the executor begins
    assert [trial.state for trial in read(url)] == [TrialState.WAITING]
    interrupted(lambda: any(out.glob("trials/*/metrics.jsonl")), False)
    lost, queued = read(url)
    assert (lost.state, queued.state) == (TrialState.FAIL, TrialState.WAITING)
    assert lost.user_attrs[trial_attrs.FAILURE] == "interrupted"
    assert queued.user_attrs[trial_attrs.RETRY_OF] == lost.number
    again = start(*words, "--executor", "processes")
    again.wait_for(lambda: any(out.glob("trials/0001/metrics.jsonl")))


def test_several_machines_do_not_share_sqlite(make_plan: Make, tmp_path: Path, watcher: Any) -> None:
    for storage in (None, f"sqlite:///{tmp_path}/study.db"):
        plan = plan_of(make_plan, {"name": "ray", "address": "10.0.0.1:6379"})
        with pytest.raises(UserError) as error:
            run_study(plan, StudyFolder(tmp_path / "out"), watcher, storage=storage)
        assert str(error.value) == (
            "executor: ray works on several machines, which share --out, where SQLite's locks do not hold; name a "
            "--storage as postgresql://user@host/name"
        )
    assert not any(tmp_path.iterdir())
