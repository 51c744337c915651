"""``multitask study`` as a user types it: its files, its interrupts, and what it refuses in a line."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from multitask.config import Config
from multitask.settings.yaml_text import dump_yaml, read_yaml
from multitask.study.folder import StudyFolder
from tests.processes import FRESH_WORKERS, Forked, run_forked, stops_after, wait_until_stopped

Call = Callable[..., Any]

HERE = Path(__file__).parents[2]
SPACE: dict[str, Any] = {"heads": "head_weights", "augment.strength": {"low": 0.0, "high": 1.0}}
QUICK = {"training.epochs": 1, "training.schedule.warmup_epochs": 0}


def write_study(
    folder: Path, base: Config, space: dict[str, Any] | None = None, name: str = "study.yaml", **settings: Any
) -> Path:
    """A study file and its base."""
    (folder / "base.yaml").write_text(dump_yaml(base.model_dump(mode="json")))
    data = {"name": "tiny", "base": "base.yaml", "budget": {"trials": 3}, "space": space or SPACE, **settings}
    path = folder / name
    path.write_text(dump_yaml(data))
    return path


@pytest.fixture
def study_file(tiny: Callable[..., Config], tmp_path: Path) -> Callable[..., Path]:
    """Writes a study file beside its base: ``study_file(space, base={"training.epochs": 3}, seed=1)``."""

    def make(space: dict[str, Any] | None = None, base: dict[str, Any] | None = None, **settings: Any) -> Path:
        return write_study(tmp_path, tiny({**QUICK, **(base or {})}), space, **settings)

    return make


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HERE)}


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "multitask", "study", *map(str, words)]


@pytest.fixture(scope="module")
def studied(tiny: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a study that was run and confirmed by a process of its own, and what that printed."""
    folder = tmp_path_factory.mktemp("studied")
    file = write_study(folder, tiny(QUICK))
    words = ("--workers", 2, "--confirm", 2, "--seeds", 2, "--out", folder / "out", "--trials", 4)
    done = run_forked(command(file, *words), text=True, env=environment())
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder, done.stdout


@pytest.fixture
def copied(studied: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of the study file's folder with the study in it."""
    return Path(shutil.copytree(studied[0], tmp_path / "copied"))


class TestWhole:
    def test_it_leaves_a_report_a_page_and_the_best_config(self, studied: tuple[Path, str]) -> None:
        out = studied[0] / "out"
        for name in ("study.yaml", "study.db", "report.json", "study.html", "best.yaml", "confirmation.json"):
            assert (out / name).stat().st_size
        report = json.loads((out / "report.json").read_text())
        assert report["counts"]["finished"] == len(list((out / "trials").iterdir())) == 4
        assert len(list((out / "confirm").iterdir())) == 6
        assert report["confirmation"] == json.loads((out / "confirmation.json").read_text())
        assert report["confirmation"]["num_seeds"] == 2

    def test_it_tells_each_trial_each_confirming_run_and_the_end(self, studied: tuple[Path, str]) -> None:
        folder, text = studied
        live, first = text.index("a live page, by the extra [dashboard]: optuna-dashboard "), text.index("trial 0: ")
        assert live < first
        assert len(re.findall(r"^.*trial [0-3]: joint\.macro_f1 0\.\d+ after 1 epoch", text, re.M)) == 4
        assert len(re.findall(r"^.*(base|trial [1-3]), seed [12]: joint\.macro_f1 ", text, re.M)) == 6
        report = json.loads((folder / "out" / "report.json").read_text())
        for sentence in report["sentences"]:
            assert sentence in text
        assert f"{folder}/out/study.html" in text

    def test_the_best_config_can_be_trained(self, call: Call, copied: Path, tmp_path: Path) -> None:
        done = call("train", copied / "out" / "best.yaml", "--out", tmp_path / "run", "-q")
        assert done.code == 0, done.err
        trained = json.loads((tmp_path / "run" / "report.json").read_text())
        study = json.loads((copied / "out" / "report.json").read_text())
        chosen = next(row for row in study["trials"] if row["number"] == study["confirmation"]["chosen"])
        assert [trained["joint"]["macro_f1"]] == chosen["values"]

    def test_the_same_line_again_does_nothing_again(self, call: Call, copied: Path, forked_workers: None) -> None:
        out = copied / "out"
        before = {path: path.stat().st_mtime_ns for path in out.glob("*/*/*")}
        words = (copied / "study.yaml", "--trials", 4, "--confirm", 2, "--seeds", 2, "--out", out)
        done = call("study", *words)
        assert done.code == 0, done.err
        assert {path: path.stat().st_mtime_ns for path in out.glob("*/*/*")} == before
        assert json.loads((out / "report.json").read_text())["sentences"][0] in done.out
        assert call("study", *words, "-q").out == ""

    def test_its_report_can_be_made_anew_where_it_was_moved_to(self, call: Call, copied: Path) -> None:
        out = copied / "out"
        for name in ("report.json", "study.html", "best.yaml"):
            (out / name).rename(out / f"old-{name}")
        done = call("report", out)
        assert done.code == 0, done.err
        for name in ("report.json", "best.yaml"):
            assert (out / name).read_text() == (out / f"old-{name}").read_text()
        assert (out / "study.html").stat().st_size
        assert json.loads((out / "report.json").read_text())["sentences"][0] in done.out
        assert f"{out}/study.html" in done.out

        (out / "study.html").unlink()
        (out / "study.html").mkdir()  # in the way of the page
        refused = call("report", out)
        assert "study.html" in refused.refusal()
        assert json.loads((out / "report.json").read_text())["sentences"][0] in refused.out


# --- interrupts --------------------------------------------------------------------------------------------------


@pytest.fixture
def start() -> Iterator[Callable[..., Forked]]:
    """Starts ``multitask study``; at the end of the test neither it nor a worker of it is left."""
    started: list[Forked] = []

    def make(*words: object, **more: str) -> Forked:
        started.append(
            Forked(
                command(*words),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**environment(), **more},
            )
        )
        return started[-1]

    yield make
    for launch in started:
        left = launch.workers() if launch.poll() is None else []
        launch.kill()
        launch.communicate()
        for worker in left:
            with contextlib.suppress(psutil.Error):
                worker.kill()


def states(out: Path) -> list[str]:
    with sqlite3.connect(out / "study.db") as connection:
        found = [state for (state,) in connection.execute("select state from trials order by number")]
    connection.close()
    return found


def test_an_interrupt_saves_all_and_the_same_line_goes_on(
    call: Call, study_file: Callable[..., Path], start: Callable[..., Forked], tmp_path: Path, forked_workers: None
) -> None:
    out = tmp_path / "out"
    file = study_file(base={"training.epochs": 15}, budget={"trials": 2}, pruner="none")

    def interrupted(number: signal.Signals, moment: str, **more: str) -> None:
        launch = start(file, "--out", out, **stops_after(moment), **more)
        wait_until_stopped(launch)
        workers = launch.workers()
        launch.send_signal(number)
        launch.send_signal(signal.SIGCONT)
        printed, errors = launch.communicate(timeout=60)
        assert launch.returncode == 130, (printed, errors)
        assert errors == (
            f"error: interrupted; all finished trials are saved in {out}. The same line goes on with the study\n"
        )
        assert not any(worker.is_running() for worker in workers)

    # While the worker starts:
    interrupted(signal.SIGTERM, "multitask.study.pool:Pool._start", **{FRESH_WORKERS: "1"})
    assert states(out) == ["WAITING"]
    # While a trial runs:
    interrupted(signal.SIGINT, "multitask.study.search:Search._goes_on")
    assert states(out) == ["FAIL", "WAITING"]
    assert not list((out / "trials").iterdir())
    done = call("study", file, "--out", out)
    assert done.code == 0, done.err
    assert states(out) == ["FAIL", "COMPLETE", "COMPLETE"]
    report = json.loads((out / "report.json").read_text())
    assert report["counts"]["retried"] == 1
    assert report["trials"][0]["origin"] == "base"


def test_an_interrupt_before_the_first_trial_leaves_nothing(
    study_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    def interrupt(*more: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("multitask.study.study.record_of", interrupt)
    done = call("study", study_file(), "--out", tmp_path / "out")
    assert signal.getsignal(signal.SIGTERM) == before
    assert done.code == 130
    assert done.err == "error: interrupted before the first trial; nothing was written\n"
    assert not (tmp_path / "out").exists()


# --- bad input ---------------------------------------------------------------------------------------------------


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class TestStudyFile:
    @pytest.mark.parametrize(
        ("space", "parts"),
        [
            ({"augment.strenght": {"low": 0, "high": 1}}, ("space.augment.strenght", "did you mean 'strength'?")),
            ({"trainin.lr": {"low": 0.1, "high": 1}}, ("space.trainin", "did you mean 'training' or 'tracking'?")),
            ({"heads.*.los.gamma": {"low": 1, "high": 2}}, ("space.heads.mask.los", "did you mean 'loss'?")),
            ({"heads.hat.weight": {"low": 1, "high": 2}}, ("heads.hat", "'age'")),
            (
                {"augment.strength": {"low": 0.9, "high": 0.1}},
                ("augment.strength", "low must be less than high", "0.9"),
            ),
            (
                {"augment.strength": {"low": 0.5, "high": 0.5}},
                ("augment.strength", "low must be less than high", "0.5"),
            ),
            ({"training.lr": {"low": 0, "high": 1, "log": True}}, ("training.lr", "low must be above 0", "log")),
            ({"augment.strength": {"low": 0, "high": 1.5}}, ("space.augment.strength: 1.5", "less than or equal to 1")),
            ({"training.lr": {"low": 0, "high": 1}}, ("space.training.lr: 0", "greater than 0")),
            (
                {"model.sharing.name": {"kind": "categorical", "choices": ["shared", "nonsense"]}},
                ("space.model.sharing.name: 'nonsense'", "refused"),
            ),
            ({"training.batch_size": {"low": 4, "high": 8.5}}, ("space.training.batch_size: 4.0", "integer")),
            ({"training.lr": {"low": 0.1, "hihg": 1}}, ("training.lr", "hihg", "'high'")),
            ({"training.lr": {"kind": "flaot", "low": 0.1, "high": 1}}, ("flaot", "'float'")),
            (
                {"heads.age.loss.gamma": {"low": 1, "high": 2}},
                ("space.heads.age.loss.gamma", "cross_entropy"),
            ),
            (
                {"heads.age.loss.gamma": {"low": 1, "high": 2, "when": {"heads.age.loss.name": "focal"}}},
                ("space.heads.age.loss.gamma.when", "never met", "cross_entropy"),
            ),
            ({}, ("space",)),
        ],
    )
    def test_a_wrong_space_is_refused_before_anything_is_done(
        self, call: Call, study_file: Callable[..., Path], tmp_path: Path, space: dict[str, Any], parts: tuple[str, ...]
    ) -> None:
        file = study_file()
        file.write_text(file.read_text().partition("space:")[0] + dump_yaml({"space": space}))
        line = call("study", file, "--out", tmp_path / "out").refusal()
        for part in parts:
            assert part in line, line
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("settings", "parts"),
        [
            ({"objective": "joint.makro_f1"}, ("objective", "'joint.makro_f1'", "did you mean 'joint.macro_f1'")),
            ({"objective": ["joint.macro_f1", "joint.macro_f1"]}, ("objective", "twice")),
            ({"direction": "up"}, ("direction", "'up'")),
            ({"sampler": "tpp"}, ("sampler.name", "'tpp'", "'tpe'")),
            ({"pruner": "medan"}, ("pruner.name", "'medan'", "'median'")),
            ({"budget": {}}, ("budget", "trials, hours or both")),
            ({"budget": {"trials": 0}}, ("budget.trials", "0")),
            ({"overrides": {"training.lrr": 1}}, ("training.lrr", "'lr'")),
            ({"heartbeat": {"interval_s": 30}}, ("heartbeat", "more than two intervals")),
            ({"nmae": "x"}, ("nmae", "did you mean 'name'")),
        ],
    )
    def test_a_wrong_setting_is_refused(
        self, call: Call, study_file: Callable[..., Path], tmp_path: Path, settings: dict[str, Any], parts: tuple[str]
    ) -> None:
        line = call("study", study_file(**settings), "--out", tmp_path / "out").refusal()
        for part in parts:
            assert part in line, line
        assert not (tmp_path / "out").exists()

    def test_a_missing_base(self, call: Call, study_file: Callable[..., Path], tmp_path: Path) -> None:
        file = study_file()
        (tmp_path / "base.yaml").unlink()
        assert call("study", file, "--out", tmp_path / "out").refusal() == f"{tmp_path}/base.yaml: no such file"
        assert not (tmp_path / "out").exists()

    def test_a_missing_and_a_broken_file(self, call: Call, tmp_path: Path) -> None:
        path = tmp_path / "no.yaml"
        assert call("study", path).refusal() == f"{path}: no such file"
        path.write_text("name: [\nspace: 1")
        line = call("study", path).refusal()
        assert str(path) in line
        assert "line 2" in line

    @pytest.mark.parametrize(
        ("words", "part"),
        [
            (("--confirm", -1), "--confirm"),
            (("--seeds", 0), "--seeds"),
            (("--trials", 0), "budget.trials"),
            (("--hours", -1), "budget.hours"),
            (("--workers", 0), "workers"),
            (("--set", "training.lrr=1"), "training.lrr"),
            (("--set", "data.root=/nowhere"), "/nowhere"),
            (("--storage", "study.db"), "--storage: must be an address"),
            (("--storage", "sqlite://"), "--storage: sqlite:// names no file"),
            (("--storage", "postgres://host/name"), "there is no database 'postgres'"),
        ],
    )
    def test_wrong_words(
        self, call: Call, study_file: Callable[..., Path], tmp_path: Path, words: tuple[object, ...], part: str
    ) -> None:
        assert part in call("study", study_file(), *words, "--out", tmp_path / "out").refusal()
        assert not (tmp_path / "out").exists()

    def test_an_executor_of_several_machines_without_a_server(
        self, call: Call, study_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("submitit")
        monkeypatch.setattr("multitask.executors.submitit.shutil.which", lambda name: f"/usr/bin/{name}")
        done = call("study", study_file(executor="submitit"), "--out", tmp_path / "out")
        assert done.refusal().startswith("executor: submitit works on several machines, which share --out, where ")
        assert "a live page" not in done.out
        assert not (tmp_path / "out").exists()

    def test_a_storage_that_nobody_answers_for(
        self, call: Call, study_file: Callable[..., Path], tmp_path: Path
    ) -> None:
        pytest.importorskip("psycopg")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            place = f"127.0.0.1:{taken.getsockname()[1]}"
            url = f"postgresql://anna:xyzzy@{place}/name"
            done = call("study", study_file(), "--storage", url, "--out", tmp_path / "out")
        line = done.refusal()
        assert "a live page" not in done.out
        assert line.startswith(f"--storage: {place} cannot be reached: ")
        assert "xyzzy" not in line
        assert not (tmp_path / "out").exists()


def change(file: Path, **settings: Any) -> None:
    """Changes some of a study file."""
    file.write_text(dump_yaml({**read_yaml(file), **settings}))


class TestStudyFolder:
    def refused(self, call: Call, copied: Path, *words: object, **settings: Any) -> str:
        """What a study file that was changed is told; nothing in the study changes."""
        file = copied / "study.yaml"
        change(file, **settings)
        before = snapshot(copied)
        done = call("study", file, *words, "--out", copied / "out")
        assert snapshot(copied) == before
        assert "a live page" not in done.out
        line: str = done.refusal()
        return line

    def test_another_space(self, call: Call, copied: Path) -> None:
        space = {**SPACE, "augment.strength": {"low": 0.0, "high": 0.5}}
        line = self.refused(call, copied, space=space)
        assert "tiny: changed since the study began: space.augment.strength was" in line
        assert "--extend" in line

    def test_another_space_with_extend(self, call: Call, copied: Path, forked_workers: None) -> None:
        space = {**SPACE, "training.lr": {"low": 0.001, "high": 0.002}}
        change(copied / "study.yaml", space=space, budget={"trials": 4})
        done = call("study", copied / "study.yaml", "--extend", "--trials", 5, "--out", copied / "out", "-q")
        assert done.code == 0, done.err
        report = json.loads((copied / "out" / "report.json").read_text())
        assert [("training.lr" in row["params"]) for row in report["trials"]] == [False] * 4 + [True]
        # From now on that is the study.
        assert call("study", copied / "study.yaml", "--trials", 5, "--out", copied / "out", "-q").code == 0

    @pytest.mark.parametrize(
        ("settings", "part"),
        [
            ({"overrides": {"training.batch_size": 8}}, "base.training.batch_size was 16, is 8"),
            ({"objective": "joint.accuracy"}, "objective was ['joint.macro_f1'], is ['joint.accuracy']"),
            ({"objective": ["joint.macro_f1", "tasks.age.macro_f1"]}, "objective was ['joint.macro_f1'], is"),
        ],
    )
    def test_another_base_or_objective_even_with_extend(
        self, call: Call, copied: Path, settings: dict[str, Any], part: str
    ) -> None:
        line = self.refused(call, copied, "--extend", **settings)
        assert part in line
        assert "--extend" not in line

    def test_other_data(self, call: Call, copied: Path, tmp_path: Path, drawn: Path) -> None:
        root = Path(shutil.copytree(drawn, tmp_path / "set"))
        next(root.glob("train/images/*/*")).write_bytes(next(root.glob("train/images/*/normal.*")).read_bytes() + b"\0")
        assert "the data's fingerprint was" in self.refused(call, copied, "--set", f"data.root={root}")

    def test_a_study_of_another_version(self, call: Call, copied: Path) -> None:
        with sqlite3.connect(copied / "out" / "study.db") as connection:
            key = "study_user_attributes set value_json = replace(value_json, '\"format\": 1', '\"format\": 0')"
            assert connection.execute(f"update {key}").rowcount == 1
        connection.close()
        line = self.refused(call, copied)
        assert "was begun by multitask 0.1.0, whose studies are kept in another way" in line

    def test_another_study(self, call: Call, copied: Path) -> None:
        out = copied / "out"
        assert self.refused(call, copied, name="other") == (
            f"{out}: holds the study 'tiny', not 'other'; name another --out"
        )

    def test_a_folder_of_something_else(self, call: Call, study_file: Callable[..., Path], tmp_path: Path) -> None:
        folder = tmp_path / "mine"
        folder.mkdir()
        (folder / "thesis.txt").write_text("all of it")
        assert "is no study folder" in call("study", study_file(), "--out", folder).refusal()
        assert snapshot(folder) == {"thesis.txt": b"all of it"}

    def test_a_second_launch_at_once(self, call: Call, copied: Path) -> None:
        with StudyFolder(copied / "out").locked():
            line = self.refused(call, copied)
        assert "another launch is at work on this study" in line
        assert "--workers" in line

    def test_another_storage(self, call: Call, copied: Path, tmp_path: Path) -> None:
        line = self.refused(call, copied, "--storage", f"sqlite:///{tmp_path}/shared.db")
        assert "its study is kept in the folder itself" in line
        assert not (tmp_path / "shared.db").exists()

    def test_a_report_of_a_study_whose_storage_is_gone(self, call: Call, copied: Path) -> None:
        (copied / "out" / "study.db").unlink()
        before = snapshot(copied)
        assert "study.db: no such file" in call("report", copied / "out").refusal()
        assert snapshot(copied) == before
