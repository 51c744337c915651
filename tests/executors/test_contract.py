"""Every row keeps the contract: with a real local Ray, and with submitit's own local executor."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from multitask.errors import UserError
from multitask.executors import EXECUTORS, Executor, ExecutorSettings, StartedWorker
from multitask.settings import Settings, validate
from multitask.testing import check_executor
from tests.executors.process_worker import ProcessWorker

HERE: dict[str, dict[str, Any]] = {"submitit": {"cluster": "local"}}


class Holder(Settings):
    executor: Any


@pytest.mark.parametrize("name", EXECUTORS)
def test_every_executor(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    settings = EXECUTORS[name](**HERE.get(name, {}))
    settings.check()
    check_executor(settings, tmp_path)
    assert capfd.readouterr() == ("", "")  # whatever an engine says is not for the terminal


def test_submitit_leaves_the_log_of_the_process_open(tmp_path: Path) -> None:
    program = """
import logging
from pathlib import Path
from multitask.executors import EXECUTORS
logging.basicConfig(filename="log.txt", filemode="w", level=logging.INFO)
EXECUTORS["submitit"](cluster="local").open(Path("jobs")).close()
logging.info("goes on")
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert (tmp_path / "log.txt").read_text() == "INFO:root:goes on\n"


class _Mine(Executor):
    host = "127.0.0.1"

    def __init__(self) -> None:
        self.started: list[ProcessWorker] = []

    def start(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> StartedWorker:
        with log.open("ab") as file:
            process = subprocess.Popen(["python", *words], env={"PATH": os.environ["PATH"], **environment}, stdout=file)
        self.started.append(ProcessWorker(process))
        return self.started[-1]

    def close(self) -> None:
        for one in self.started:
            one.process.kill()
            one.process.wait()


class MineSettings(ExecutorSettings):
    name: Literal["mine"] = "mine"

    def open(self, folder: Path) -> Executor:
        return _Mine()


class LeavingSettings(MineSettings):
    """Leaves what it has started."""

    def open(self, folder: Path) -> Executor:
        class Leaving(_Mine):
            def close(self) -> None: ...

        self._left.append(made := Leaving())
        return made

    _left: ClassVar[list[_Mine]] = []


class ChattySettings(MineSettings):
    """Says how a command ended in many lines."""

    def open(self, folder: Path) -> Executor:
        class Chatty(_Mine):
            def start(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> StartedWorker:
                started = super().start(words, environment, log)

                class Job(ProcessWorker):
                    def ended(self) -> str | None:
                        return None if (said := super().ended()) is None else f"Traceback:\n{said}"

                assert isinstance(started, ProcessWorker)
                return Job(started.process)

        return Chatty()


def test_an_executor_of_ones_own(tmp_path: Path) -> None:
    for name in ("mine", "leaving", "chatty"):
        (tmp_path / name).mkdir()
    check_executor(MineSettings(), tmp_path / "mine")
    with pytest.raises(AssertionError, match=r"^LeavingSettings must leave nothing running of what was cancelled"):
        check_executor(LeavingSettings(), tmp_path / "leaving")
    for left in LeavingSettings._left:
        _Mine.close(left)
    with pytest.raises(AssertionError, match=r"^ChattySettings must say in one line that a command was killed"):
        check_executor(ChattySettings(), tmp_path / "chatty")


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("submitit", {"cluster": "local", "partition": "gpu"}, "partition: is SLURM's; cluster: local has none"),
        ("submitit", {"cluster": "pbs"}, "cluster: input should be 'slurm' or 'local'"),
        ("submitit", {"cpus_per_worker": 0}, "cpus_per_worker"),
        ("ray", {"adress": "auto"}, "adress"),
        ("ray", {"gpus_per_worker": -1}, "gpus_per_worker"),
    ],
)
def test_settings_are_strict(name: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        validate(EXECUTORS[name], {"name": name, **given})
    assert said in str(error.value)


def test_what_is_not_installed_is_one_line_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multitask.executors.base.importlib.util.find_spec", lambda name: None)
    for name in ("ray", "submitit"):
        with pytest.raises(UserError, match=rf'executor: {name} needs pip install "multitask\[{name}\]"$'):
            EXECUTORS[name]().check()


def test_a_slurm_that_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        UserError, match=r"submitit finds no SLURM \(sbatch, squeue, scancel, srun\) on this machine; .* cluster: local"
    ):
        EXECUTORS["submitit"]().check()


def test_what_slurm_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = (
        "echo 'sbatch: error: QOS is over its limit' >&2; echo 'sbatch: error: Batch job submission failed' >&2; exit 1"
    )
    for name in ("sbatch", "squeue", "scancel", "srun"):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    settings = validate(EXECUTORS["submitit"], {"qos": "long"})
    settings.check()
    executor = settings.open(tmp_path / "jobs")
    assert executor is not None
    with pytest.raises(UserError) as error:
        executor.start(["-c", ""], {}, tmp_path / "log")
    executor.close()
    said = "executor: submitit cannot start a worker: QOS is over its limit; Batch job submission failed"
    assert str(error.value) == said
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_while_a_job_is_submitted_leaves_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands = {
        "sbatch": "kill -INT $PPID; sleep 0.2; echo Submitted batch job 7",
        "scancel": f'echo "$@" >> {tmp_path}/cancelled',
        "srun": "",
        "squeue": "echo '7|RUNNING|None'",
    }
    for name, line in commands.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    executor = validate(EXECUTORS["submitit"], {}).open(tmp_path / "jobs")
    assert executor is not None
    with pytest.raises(KeyboardInterrupt):
        executor.start(["-c", ""], {}, tmp_path / "log")
    executor.close()
    assert (tmp_path / "cancelled").read_text() == "7\n"


def test_a_ray_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    settings = validate(EXECUTORS["ray"], {"address": "127.0.0.1:1", "connect_timeout_s": 0.2})
    with pytest.raises(UserError) as error:
        settings.open(tmp_path)
    said = f"executor: Ray at 127.0.0.1:1 did not answer within 0.2 s; {tmp_path}/ray.log says more"
    assert str(error.value) == said
