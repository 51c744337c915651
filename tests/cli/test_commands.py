"""Every command of the contract, as a user types it."""

from __future__ import annotations

import csv
import errno
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from multitask.balancers import BALANCERS
from multitask.cli import COMMANDS
from multitask.config import Config

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def trained(tiny: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two runs, ``shared`` and ``flat``, on the same split."""
    from multitask.runs.config import TrainedRun
    from multitask.runs.page import write_page
    from multitask.runs.run import run

    folder = tmp_path_factory.mktemp("runs")
    for sharing in ("shared", "flat"):
        config = tiny({"training.epochs": 1, "training.schedule.warmup_epochs": 0, "model.sharing.name": sharing})
        result = run(config, folder / sharing)
        write_page(TrainedRun(result.folder, config), "val")
    return folder


class TestHelp:
    def test_lists_every_command(self, call: Call) -> None:
        done = call("--help")
        assert done.code == 0
        for name in COMMANDS:
            assert f"  {name} " in done.out

    @pytest.mark.parametrize("name", COMMANDS)
    def test_of_each_command(self, call: Call, name: str) -> None:
        done = call(name, "--help")
        assert done.code == 0
        assert "Usage:" in done.out

    def test_imports_nothing_heavy(self) -> None:
        code = (
            "import sys; sys.argv = ['multitask', '--help']\n"
            "from multitask.cli import main\n"
            "try: main()\n"
            "except SystemExit: pass\n"
            "print([m for m in ('torch', 'numpy', 'pandas', 'pydantic', 'rich', 'matplotlib') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.rstrip().endswith("[]")

    def test_an_unknown_command_names_the_nearest(self, call: Call) -> None:
        assert call("trian").refusal() == "no command 'trian'; did you mean 'train'?"


class TestSynth:
    def test_draws_a_set(self, call: Call, tmp_path: Path) -> None:
        done = call("synth", tmp_path / "set", "--people", 4, "--seed", 3, "--noise", 0.5)
        assert done.code == 0
        assert "28 images of 4 people to train on, 7 of 1 other to answer, 2 wrong labels planted" in done.out
        assert (tmp_path / "set" / "answers.csv").is_file()

    def test_quiet_says_nothing(self, call: Call, tmp_path: Path) -> None:
        done = call("synth", tmp_path / "set", "--people", 1, "--quiet")
        assert (done.code, done.out, done.err) == (0, "", "")


class TestTrain:
    def test_trains_reports_and_says_where(self, call: Call, config_file: Callable[..., Path], tmp_path: Path) -> None:
        out = tmp_path / "run"
        done = call("train", config_file(), "--set", "training.lr=2e-3", "--out", out)
        assert done.code == 0, done.err
        assert "epoch 2/2: loss" in done.out
        assert "macro-F1" in done.out
        assert str(out / "report.html") in done.out
        assert yaml.safe_load((out / "config.yaml").read_text())["training"]["lr"] == 0.002
        files = {path.name for path in out.iterdir()}
        assert {
            "config.yaml", "environment.json", "data.json", "split.csv", "metrics.jsonl", "checkpoints",
            "decode.json", "predictions-val.csv", "report.json", "report.html",
        } == files  # fmt: skip
        environment = json.loads((out / "environment.json").read_text())
        assert {"versions", "commit", "machine", "seed", "command", "created"} <= set(environment)

    def test_quiet_says_nothing(self, call: Call, config_file: Callable[..., Path], tmp_path: Path) -> None:
        done = call("train", config_file(), "--out", tmp_path / "run", "--quiet")
        assert (done.code, done.out, done.err) == (0, "", "")

    def test_its_resolved_config_can_be_run(
        self, call: Call, config_file: Callable[..., Path], tmp_path: Path, trained: Path
    ) -> None:
        done = call("train", trained / "shared" / "config.yaml", "--out", tmp_path / "again", "-q")
        assert done.code == 0, done.err
        reports = [json.loads((run / "report.json").read_text()) for run in (trained / "shared", tmp_path / "again")]
        assert reports[0]["joint"] == reports[1]["joint"]

    def test_resume_of_a_finished_run_reports_again(self, call: Call, trained: Path) -> None:
        run = trained / "shared"
        before = (run / "report.json").read_text()
        done = call("train", run / "config.yaml", "--out", run, "--resume")
        assert done.code == 0, done.err
        assert (run / "report.json").read_text() == before

    def test_default_folder_is_named_after_the_config(
        self, call: Call, config_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = config_file({"training.epochs": 1, "training.schedule.warmup_epochs": 0}, "mine.yaml")
        monkeypatch.chdir(tmp_path)
        assert call("train", path, "-q").code == 0
        (run,) = (tmp_path / "runs").iterdir()
        assert run.name.startswith("mine-")


class TestFolds:
    def test_trains_reports_and_answers(
        self, call: Call, config_file: Callable[..., Path], drawn: Path, tmp_path: Path, trained: Path
    ) -> None:
        once = {"training.epochs": 1, "training.schedule.warmup_epochs": 0, "data.val_fraction": 0.2}
        out = tmp_path / "runs" / "folded"
        done = call(
            "train", config_file(once), "--folds", 2, "--set", "data.held_out=[{mask: incorrect, gender: female}]",
            "--out", out,
        )  # fmt: skip
        assert done.code == 0, done.err
        assert "fold 1, 2 of 2" in done.out
        assert "84 images of 12 groups" in done.out
        for text in (done.out, call("report", out).out):
            rows = re.search(r"macro-F1 by fold\nfold +groups +joint +mask +gender +age *\n(.+\n)(.+\n)", text)
            assert rows, text
            assert [row.split()[:2] for row in rows.groups()] == [["0", "6"], ["1", "6"]]
            assert re.search(r"^never trained on \(3 classes, 6 images\): macro-F1 \.?\d", text, re.M), text
        assert "Fold by fold" in (out / "report.html").read_text()
        before = (out / "report.json").read_text()
        assert call("evaluate", out, "-q").code == 0
        assert (out / "report.json").read_text() == before
        assert call("evaluate", out, "--split", "eval", "-q").code == 0
        assert json.loads((out / "report-eval.json").read_text())["num_groups"] == 3
        assert "--split train" in call("evaluate", out, "--split", "train").refusal()
        assert call("predict", out, "--data", drawn, "-o", tmp_path / "s.csv", "-q").code == 0
        assert "2 of 2 folds" in call("runs", out.parent).out
        assert "folds/1" in call("runs", out).out
        compared = call("compare", out, trained / "shared")
        assert compared.code == 0, compared.err
        assert re.search(r"--folds +2 +-", compared.out), compared.out
        assert "noise" in compared.out


class TestEvaluateAndReport:
    def test_val_is_the_runs_own_report(self, call: Call, trained: Path) -> None:
        before = json.loads((trained / "flat" / "report.json").read_text())
        done = call("evaluate", trained / "flat")
        assert done.code == 0, done.err
        assert "joint" in done.out
        assert json.loads((trained / "flat" / "report.json").read_text()) == before

    @pytest.mark.parametrize("split", ["train", "all", "eval"])
    def test_other_splits_have_reports_of_their_own(self, call: Call, trained: Path, split: str) -> None:
        assert call("evaluate", trained / "shared", "--split", split, "-q").code == 0
        report = json.loads((trained / "shared" / f"report-{split}.json").read_text())
        assert report["split"] == split
        assert (trained / "shared" / f"report-{split}.html").is_file()

    def test_report_shows_and_draws_again(self, call: Call, trained: Path) -> None:
        page = trained / "shared" / "report.html"
        before = page.read_text()
        page.unlink()
        done = call("report", trained / "shared")
        assert done.code == 0, done.err
        assert "perfect: the joint macro-F1" in done.out
        assert re.search(r"MAE: mean absolute error of .*: age [\d.]+ \(95% [\d.]+ to [\d.]+\)", done.out)
        assert page.read_text() == before

    @pytest.mark.parametrize("command", ["report", "evaluate"])
    def test_figures_are_shown_also_where_their_page_cannot_be_written(
        self, call: Call, trained: Path, tmp_path: Path, command: str
    ) -> None:
        run = Path(shutil.copytree(trained / "shared", tmp_path / "run"))
        (run / "report.html").unlink()
        (run / "report.html").mkdir()  # in the way of the page
        done = call(command, run)
        assert "report.html" in done.refusal()
        assert "perfect: the joint macro-F1" in done.out

    def test_report_holds_what_scripts_rely_on(self, trained: Path) -> None:
        for sharing in ("shared", "flat"):
            report: dict[str, Any] = json.loads((trained / sharing / "report.json").read_text())
            low, high = report["joint"]["macro_f1_ci"]
            assert 0 <= low <= high <= 1
            assert {"macro_f1", "accuracy"} <= set(report["joint"])
            assert set(report["tasks"]) == {"mask", "gender", "age"}
            for figures in report["tasks"].values():
                assert {"macro_f1", "accuracy"} <= set(figures)
            assert report["decode"] == {"name": "independent"}
            assert report["num_images"] == report["num_groups"] * 7


class TestPredict:
    def test_answers_in_the_order_of_the_questions(
        self, call: Call, trained: Path, drawn: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "submission.csv"
        done = call("predict", trained / "shared", "--data", drawn, "-o", out)
        assert done.code == 0, done.err
        with out.open() as file:
            rows = list(csv.DictReader(file))
        with (drawn / "eval" / "info.csv").open() as file:
            asked = [row["ImageID"] for row in csv.DictReader(file)]
        assert [row["ImageID"] for row in rows] == asked
        assert list(rows[0]) == ["ImageID", "ans"]
        assert all(0 <= int(row["ans"]) < 18 for row in rows)


class TestRunsAndCompare:
    def test_runs_are_listed_with_scores(self, call: Call, trained: Path) -> None:
        done = call("runs", trained)
        assert done.code == 0
        report = json.loads((trained / "flat" / "report.json").read_text())
        line = next(line for line in done.out.splitlines() if line.startswith("flat"))
        assert f"{report['joint']['macro_f1']:.3f}".lstrip("0") in line

    def test_no_runs(self, call: Call, tmp_path: Path) -> None:
        assert "no runs" in call("runs", tmp_path).out

    def test_compare_shows_what_differs_and_pairs_the_groups(self, call: Call, trained: Path) -> None:
        done = call("compare", trained / "shared", trained / "flat")
        assert done.code == 0, done.err
        assert "model.sharing.name" in done.out
        assert "training.lr" not in done.out
        places = [done.out.index(words) for words in ("joint.macro_f1", "flat less shared", "settings that differ")]
        assert places == sorted(places), "scores first"
        assert "noise" in done.out

    def test_compare_tells_runs_of_one_name_apart(self, call: Call, trained: Path, tmp_path: Path) -> None:
        runs = [tmp_path / parent / "run" for parent in ("one", "two", "three")]
        for run in runs:
            shutil.copytree(trained / "shared", run)
        done = call("compare", *runs)
        assert done.code == 0, done.err
        assert re.search(r"^ +one/run +two/run +three/run *$", done.out, flags=re.MULTILINE), done.out
        assert re.findall(r"\S+ less \S+(?=,)", done.out) == ["two/run less one/run", "three/run less one/run"]

    def test_where_a_run_was_computed_is_no_difference(self, call: Call, trained: Path, tmp_path: Path) -> None:
        for name, device in (("one", "cpu"), ("two", "auto")):
            shutil.copytree(trained / "shared", tmp_path / name)
            config = tmp_path / name / "config.yaml"
            config.write_text(re.sub(r"^device: .*", f"device: {device}", config.read_text(), flags=re.MULTILINE))
        assert (
            "no setting differs that changes what is computed"
            in call("compare", tmp_path / "one", tmp_path / "two").out
        )


class TestConfig:
    def test_prints_what_can_be_read_back(self, call: Call, config_file: Callable[..., Path], tmp_path: Path) -> None:
        done = call("config", config_file(), "--set", "heads.age.loss.name=focal", "--set", "heads.age.weight=2")
        assert done.code == 0
        resolved = yaml.safe_load(done.out)
        assert resolved["heads"]["age"]["loss"]["gamma"] == 2.0
        again = tmp_path / "again.yaml"
        again.write_text(done.out)
        assert call("config", again).out == done.out

    def test_names_all_that_is_wrong(self, call: Call, config_file: Callable[..., Path]) -> None:
        done = call("config", config_file(), "--set", "training.lrr=1", "--set", "augment.strenth=1")
        assert done.code == 2
        assert "training.lrr" in done.err
        assert "augment.strenth" in done.err


def test_bench_prints_its_ratios(call: Call, config_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multitask.bench.training.ROUNDS", 1)
    monkeypatch.setattr("multitask.bench.training.STEP_ROUNDS", 1)
    monkeypatch.setattr("multitask.bench.training.NUM_IMAGES", 5)
    monkeypatch.setattr("multitask.bench.decoding.DECODED", 200)
    monkeypatch.setattr("multitask.bench.data.EPOCHS", 1)
    done = call("bench", config_file())
    assert done.code == 0, done.err
    words = " ".join(done.out.split())
    for name in (
        "training, 3 heads",
        "training from files",
        "training with its",
        "loading JPEG",
        "batches from the",
        "augmentation at",
        "decode fitting, 200 images and 18 classes",
    ):
        assert name in words


def test_bench_of_sharing_prints_its_ratios(
    call: Call, config_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multitask.bench.sharing.ROUNDS", 1)
    monkeypatch.setattr("multitask.bench.sharing.STEP_ROUNDS", 1)
    done = call("bench", config_file({"heads.age.net": "coral", "joint": {}}), "--sharing")
    assert done.code == 0, done.err
    words = " ".join(done.out.split())
    for name in ("training, 3 heads", "training, shared"):
        assert name in words
    assert "one at a time" in call("bench", "--study", "--sharing").err


def test_bench_of_the_balancers_measures_each_to_fixed_weights(
    call: Call, config_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multitask.bench.balancers.ROUNDS", 1)
    monkeypatch.setattr("multitask.bench.balancers.STEPS", 1)
    done = call("bench", config_file({"heads.age.weight": 0.5}), "--balancers")
    assert done.code == 0, done.err
    words = " ".join(done.out.split())
    for name in set(BALANCERS) - {"fixed"}:
        assert f" {name}, to" in words
    assert "one at a time" in call("bench", "--study", "--balancers").err


def test_bench_of_answers_is_of_a_standard_network(call: Call, config_file: Callable[..., Path]) -> None:
    assert "one at a time" in call("bench", "--predict", "--whole").err
    done = call("bench", config_file(), "--predict")
    assert (done.code, "leave out CONFIG" in done.err) == (2, True)


def test_bench_of_the_time_to_a_score_trains_both(call: Call, config_file: Callable[..., Path], tmp_path: Path) -> None:
    plain, recipe = config_file(), config_file({"training.epochs": 3}, "recipe.yaml")
    file = tmp_path / "found.json"
    pair = ("--plain", plain, "--recipe", recipe)
    done = call("bench", "--to-score", *pair, "--seeds", 1, "--metric", "tasks.mask.accuracy", "--json", file)
    assert done.code == 0, done.err
    words = " ".join(done.out.split())
    assert "tasks.mask.accuracy of the 5 groups that validate in both; time of the processor" in words
    assert "0 last epoch " in words
    assert "last epoch, for good " in words
    found = json.loads(file.read_text(encoding="utf-8"))
    assert (found["plain"], found["recipe"]) == (str(plain), str(recipe))
    assert found["machine"]["num_cores"] > 0
    [seed] = found["seeds"]
    assert [len(seed[side]) for side in ("plain", "recipe")] == [2, 3]
    times = [row["processor_s"] for row in seed["recipe"]]
    assert 0 < times[0] < times[1] < times[2]


def test_what_the_bench_measured_is_told_though_the_disk_is_full(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from multitask.bench.to_score import seed_times, summarise
    from multitask.reporting.to_score.report_schema import TimedEpoch

    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    curve = [TimedEpoch(epoch=1, processor_s=4.0, wall_s=4.0, score=0.5)]
    found = summarise(None, "joint.macro_f1", False, [seed_times(0, 12, curve, curve)])
    monkeypatch.setattr("multitask.bench.to_score.measure_to_score", lambda *_, **__: found)
    monkeypatch.setattr("multitask.utils.files.write_atomically", full)
    done = call("bench", "--to-score", "--json", tmp_path / "found.json")
    assert done.refusal() == f"{tmp_path / 'found.json'}: No space left on device"
    assert "joint.macro_f1 of the 12 groups" in done.out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--to-score", "--whole"], "one at a time"),
        (["--to-score", "CONFIG"], "leave out CONFIG"),
        (["--to-score", "--plain", "CONFIG"], "takes both --plain and --recipe, or neither"),
        (["--seeds", "2"], "--seeds: would be ignored: it belongs to --to-score"),
        (["--whole", "--json", "a.json"], "--json: would be ignored: it belongs to --to-score"),
        (["--to-score", "--json", "no/where.json"], "--json: must be a file in a folder that is there"),
        (["--to-score", "--plain", "CONFIG", "--recipe", "nothere.yaml"], "nothere.yaml"),
    ],
)
def test_bench_of_the_time_to_a_score_refuses(
    call: Call, config_file: Callable[..., Path], words: list[str], line: str
) -> None:
    config = config_file()
    done = call("bench", *(config if word == "CONFIG" else word for word in words))
    assert (done.code, line in done.err) == (2, True), done.err


def test_help_is_quick() -> None:
    """No bound on the clock, which the machine's other work moves: against an interpreter that does nothing."""

    def best(code: str) -> float:
        took = []
        for _ in range(3):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
            took.append(time.perf_counter() - started)
        return min(took)

    helped = best("import sys; sys.argv = ['multitask', '--help']; from multitask.cli import main; main()")
    assert helped < 20 * best("pass")


def test_a_resume_needs_a_folder(call: Call, config_file: Callable[..., Path]) -> None:
    found = call("train", config_file(), "--resume")
    assert found.refusal() == "--resume: needs --out, the folder of the run to go on with"
