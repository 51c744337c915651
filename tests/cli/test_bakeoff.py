"""``multitask bakeoff`` as a user types it: its files, its interrupts, and what it refuses in a line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from multitask.config import Config
from multitask.settings.yaml_text import dump_yaml
from tests.processes import Forked, kill_once_stopped, stops_after

Call = Callable[..., Any]
HERE = Path(__file__).parents[2]


@pytest.fixture
def bakeoff_file(tiny: Callable[..., Config], tmp_path: Path) -> Callable[..., Path]:
    """Writes a bake-off file of two contenders beside its base: ``bakeoff_file(epochs=3, seeds=2)``."""

    def make(epochs: int = 1, **settings: Any) -> Path:
        base = tiny({"training.epochs": epochs, "training.schedule.warmup_epochs": 0})
        (tmp_path / "base.yaml").write_text(dump_yaml(base.model_dump(mode="json", exclude={"heads"})))
        path = tmp_path / "bakeoff.yaml"
        contenders = {"flat": {"overrides": {"model.sharing.name": "flat"}}, "shared": {}}
        path.write_text(dump_yaml({"name": "tiny", "base": "base.yaml", "contenders": contenders, **settings}))
        return path

    return make


class TestWhole:
    def test_it_tells_each_run_and_the_end_and_report_shows_it_again(
        self, call: Call, bakeoff_file: Callable[..., Path], tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        done = call("bakeoff", bakeoff_file(seeds=2, folds=2), "--out", out, "--set", "augment.strength=0.1")
        assert done.code == 0, done.err
        assert done.err == ""
        assert len(re.findall(r"^(flat|shared), seed [01]: joint\.macro_f1 0\.\d+ ", done.out, re.M)) == 4
        report = json.loads((out / "report.json").read_text())
        assert report["sentences"][0] in done.out
        assert str(out / "bakeoff.html") in done.out

        page = (out / "bakeoff.html").read_bytes()
        (out / "bakeoff.html").unlink()
        again = call("report", out)
        assert again.code == 0, again.err
        shown = again.out[again.out.index("bake-off tiny") :].splitlines()
        assert set(filter(None, shown[:-1])) <= set(done.out.splitlines())
        assert (out / "bakeoff.html").read_bytes() == page

        (out / "bakeoff.html").unlink()
        (out / "bakeoff.html").mkdir()  # in the way of the page
        refused = call("report", out)
        assert "bakeoff.html" in refused.refusal()
        assert refused.out.startswith(again.out.partition("page")[0].rstrip()), "shown before it is drawn"

    def test_quiet_says_nothing_and_the_folder_is_called_by_the_name(
        self, call: Call, bakeoff_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        done = call("bakeoff", bakeoff_file(seeds=1), "--quiet")
        assert (done.code, done.out, done.err) == (0, "", "")
        assert (tmp_path / "runs" / "tiny" / "report.json").is_file()


class TestRefused:
    @pytest.mark.parametrize(
        ("settings", "parts"),
        [
            ({"contenders": {"flat": {}}}, ("contenders", "two or more")),
            ({"reference": "flt"}, ("reference", "'flt'", "'flat'")),
            ({"contenders": {"a": {}, "b": {"overrides": {"training.lrr": 1}}}}, ("contenders.b", "'lr'")),
            ({"budget": {"images": 3}}, ("budget.images", "3", "one epoch")),
            ({"axis": {"groups": [2, 500]}}, ("axis.groups", "data.train_groups", "500")),
            ({"sedes": 3}, ("sedes", "'seeds'")),
            (
                {"contenders": {"a": {}, "b": {"overrides": {"labels.tasks.age.edges": [20, 50]}}}},
                ("contenders.b", "another label space than a"),
            ),
            (
                {"contenders": {"a": {}, "b": {"overrides": {"model.backbone.options": {"no_such": 1}}}}},
                ("contenders.b", "no_such"),
            ),
        ],
    )
    def test_in_a_line_before_any_training(
        self,
        call: Call,
        bakeoff_file: Callable[..., Path],
        tmp_path: Path,
        settings: dict[str, Any],
        parts: tuple[str, ...],
    ) -> None:
        line = call("bakeoff", bakeoff_file(**settings), "--out", tmp_path / "out").refusal()
        for part in parts:
            assert part in line
        assert not (tmp_path / "out").exists()

    def test_a_file_of_the_other_kind(self, call: Call, bakeoff_file: Callable[..., Path], tmp_path: Path) -> None:
        assert "use `multitask bakeoff`" in call("study", bakeoff_file()).refusal()
        study = tmp_path / "study.yaml"
        study.write_text("name: a\nbase: base.yaml\nbudget: {trials: 1}\nspace: {training.lr: {low: 1, high: 2}}\n")
        assert "use `multitask study`" in call("bakeoff", study).refusal()

    def test_what_is_no_file(self, call: Call, tmp_path: Path) -> None:
        assert "nowhere.yaml" in call("bakeoff", tmp_path / "nowhere.yaml").refusal()

    def test_the_report_of_one_that_has_none_yet(self, call: Call, tmp_path: Path) -> None:
        (tmp_path / "bakeoff.yaml").write_text("name: x\n")
        assert "no report yet" in call("report", tmp_path).refusal()


# --- interrupts --------------------------------------------------------------------------------------------------


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts ``multitask bakeoff``; at the end of the test it is gone."""
    started: list[subprocess.Popen[str]] = []

    def make(*words: object, **more: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "multitask", "bakeoff", *map(str, words)]
        environment = {**os.environ, "PYTHONPATH": str(HERE), **more}
        started.append(Forked(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment))
        return started[-1]

    yield make
    for launch in started:
        launch.kill()
        launch.communicate()


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[str], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)


def test_an_interrupt_saves_all_and_says_how_to_go_on(
    bakeoff_file: Callable[..., Path], start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    launch = start(bakeoff_file(epochs=500, seeds=1), "--out", out)
    wait_for((out / "flat" / "all" / "0" / "metrics.jsonl").exists, launch)
    launch.send_signal(signal.SIGINT)
    _, errors = launch.communicate(timeout=60)
    assert launch.returncode == 130, errors
    assert errors == (
        f"error: interrupted; all finished epochs are saved in {out}. The same line goes on with the bake-off\n"
    )


def test_a_launch_can_be_killed_at_any_moment(
    call: Call, bakeoff_file: Callable[..., Path], start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    file = bakeoff_file(epochs=4, seeds=2)
    kept: dict[str, str] = {}

    def finished() -> dict[str, str]:
        return {str(path.parent): path.read_text() for path in out.glob("*/all/*/report.json")}

    epoch = "multitask.runs.folder:RunFolder.write_history"
    moments = [
        ("multitask.utils.files:_opened", "True", 0),  # while it is beginning, in the folder that it locks
        (epoch, "True", 0),  # within the first run
        (epoch, "len(list(args[0].path.parents[2].glob('*/all/*/report.json'))) == 2", 2),
    ]
    for function, when, num in moments:
        kill_once_stopped(start(file, "--out", out, **stops_after(function, when)))
        assert kept.items() <= finished().items()
        assert len(finished()) == num
        kept = finished()
    assert not (out / "report.json").exists()
    launch = start(file, "--out", out)
    _, errors = launch.communicate(timeout=200)
    assert launch.returncode == 0, errors
    assert kept.items() <= finished().items()
    assert len(finished()) == 4
    assert not (out / ".reuse").exists()
    # Its scores are those of one that was never killed.
    assert call("bakeoff", file, "--out", whole, "--quiet").code == 0
    points = [json.loads((folder / "report.json").read_text())["points"][0] for folder in (out, whole)]
    assert points[0]["matrix"] == points[1]["matrix"]
    for name in ("flat", "shared"):
        for figure in ("joint", "accuracy", "tasks", "class_f1", "difference"):
            assert points[0]["contenders"][name][figure] == points[1]["contenders"][name][figure]
