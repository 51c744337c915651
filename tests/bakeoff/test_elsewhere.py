"""Bake-offs whose runs an executor's workers train."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from multitask.bakeoff import elsewhere
from multitask.bakeoff.bakeoff import run_bakeoff
from multitask.bakeoff.folder import BakeoffFolder
from multitask.bakeoff.messages import Ended
from multitask.bakeoff.plan import load_bakeoff
from multitask.errors import UserError
from multitask.executors.messages import Warned
from multitask.progress import RunningTrial, StudyProgress

Make = Callable[..., Path]
LOCAL = {"name": "submitit", "cluster": "local"}


class Killer(StudyProgress):
    """Kills the worker of the first run after its first epoch, and remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.killed: list[int] = []

    def epoch(self, view: RunningTrial) -> None:
        if not self.killed:
            for process in psutil.Process().children(recursive=True):
                if "multitask.bakeoff.worker" in process.cmdline()[:5]:
                    os.kill(process.pid, signal.SIGKILL)
                    self.killed.append(process.pid)

    def ended(self, text: str, kind: str) -> None:
        self.lines.append((kind, text))


class Speaking:
    """In the place of ``RemotePool``: one worker, which warns and ends."""

    def __init__(self, *arguments: object) -> None:
        self.number, self.host = 0, "here"

    def send(self, job: object) -> None:
        pass

    def open(self) -> None:
        pass

    def idle(self) -> list[Speaking]:
        return [self]

    def listen(self, timeout_s: float) -> Iterator[tuple[Speaking, object]]:
        yield self, Warned("tracking: mlflow failed")
        yield self, Ended("no more")

    def close(self) -> None:
        pass


def test_a_warning_of_a_run_names_it(bakeoff_file: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "RemotePool", Speaking)
    plan = load_bakeoff(bakeoff_file({"training.epochs": 2}, seeds=1, executor=LOCAL))
    with (
        pytest.warns(RuntimeWarning, match=r"^flat, seed 0: tracking: mlflow failed$"),
        pytest.raises(UserError, match="no more"),
    ):
        run_bakeoff(plan, BakeoffFolder(tmp_path / "out"), StudyProgress())


def test_runs_are_those_of_one_process_though_a_worker_is_lost(
    bakeoff_file: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multitask.executors.pool._WORD_S", 120.0)  # else one that is held up is not heard of
    changes = {"training.epochs": 2}
    run_bakeoff(load_bakeoff(bakeoff_file(changes, seeds=1)), BakeoffFolder(tmp_path / "one"), StudyProgress())
    killer = Killer()
    plan = load_bakeoff(bakeoff_file(changes, seeds=1, executor=LOCAL))
    report = run_bakeoff(plan, BakeoffFolder(tmp_path / "other"), killer)
    assert len(killer.killed) == 1
    assert (tmp_path / "other" / "workers").stat().st_mode & 0o777 == 0o700  # what is submitted holds a key
    host = os.uname().nodename
    (kind, lost), *rest = killer.lines
    assert kind == "retried"
    assert re.fullmatch(rf"flat, seed 0: lost, job \d+: the worker on {host} was killed; queued again", lost)
    assert [kind for kind, _ in rest] == ["finished", "finished"]
    for name in ("flat", "shared"):
        one, other = (tmp_path / place / name / "all" / "0" / "predictions-val.csv" for place in ("one", "other"))
        assert one.read_bytes() == other.read_bytes()
    assert set(report.points[0].scored) == {"flat", "shared"}
    assert capfd.readouterr() == ("", "")


def test_workers_beside_processes_are_refused(bakeoff_file: Make) -> None:
    with pytest.raises(UserError, match="workers: with executor: processes the runs of a bake-off follow one another"):
        load_bakeoff(bakeoff_file(workers=2))
    assert load_bakeoff(bakeoff_file(workers=2), (), {"executor.name": "submitit"}).settings.workers == 2
