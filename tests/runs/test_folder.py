from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest

from multitask.errors import UserError
from multitask.progress import EpochRecord, ValidationScores
from multitask.runs import folder as folder_module
from multitask.runs.folder import RunFolder, list_runs, new_folder, overview
from multitask.runs.records import Environment


def started(path: Path) -> RunFolder:
    run = RunFolder(path)
    run.claim(resume=False)
    run.create("seed: 0\n", Environment(created="2026-11-28T00:00:00+00:00"))
    return run


def test_new_and_empty_folders_can_be_claimed_and_a_run_only_to_resume_it(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a" / "b")
    run.claim(resume=False)
    run.claim(resume=True)
    assert not (tmp_path / "a").exists()
    RunFolder(tmp_path).claim(resume=False)
    started(tmp_path / "run").claim(resume=True)
    with pytest.raises(UserError, match=r"run: holds a run already; continue it with --resume or name another --out$"):
        RunFolder(tmp_path / "run").claim(resume=False)


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", ["photo.jpg", "checkpoints/other.bin", ".hidden", "environment.json.bak"])
def test_folder_with_something_else_in_it_is_refused(name: str, resume: bool, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match=r"exists and is no run folder; name another --out$"):
        RunFolder(tmp_path).claim(resume)
    assert (tmp_path / name).read_text() == "mine"


def test_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(UserError, match="exists and is no run folder"):
        RunFolder(tmp_path / "run").claim(resume=True)


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("writes", [0, 1])
@pytest.mark.parametrize("num_folds", [None, 3])
def test_what_a_kill_within_create_leaves_can_be_claimed_again(
    writes: int, num_folds: int | None, resume: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, count = folder_module.write_atomically, 0

    def dying(path: Path, content: str) -> None:
        nonlocal count
        if count == writes:
            (path.parent / f".{path.name}.abc123.part").write_text(content[:5])
            raise KeyboardInterrupt
        count += 1
        real(path, content)

    monkeypatch.setattr(folder_module, "write_atomically", dying)
    run = RunFolder(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        run.create("seed: 0\n", Environment(), num_folds)
    monkeypatch.undo()
    assert not run.exists()
    run.claim(resume, num_folds)
    run.create("seed: 0\n", Environment(), num_folds)
    assert run.exists()


def test_history_goes_round_and_repeats_no_row(tmp_path: Path) -> None:
    run = started(tmp_path / "run")
    assert run.read_history() == []
    rows = [EpochRecord(epoch=1, val=ValidationScores(loss=math.nan), best=True), EpochRecord(epoch=2, best=False)]
    for count in (1, 2, 2):
        run.write_history(rows[:count])
    assert len(run.metrics.read_text().splitlines()) == 2
    assert run.read_history() == [replace(rows[0], val=ValidationScores()), rows[1]]
    other = EpochRecord(epoch=1, best=False)
    for history in ([other, rows[1]], [other], [rows[1], other]):
        run.write_history(history)
        assert run.read_history() == history


def test_report_that_is_not_there_says_what_writes_it(tmp_path: Path) -> None:
    run = started(tmp_path / "run")
    with pytest.raises(UserError, match=r"report\.json: no such file; `multitask evaluate .*run` writes it$"):
        run.read_report()
    with pytest.raises(
        UserError, match=r"report-train\.json: no such file; `multitask evaluate .*run --split train` writes"
    ):
        run.read_report("train")
    assert run.report("val", "html").name == "report.html"
    assert run.predictions("eval").name == "predictions-eval.csv"


def test_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no run folder: it has no config\.yaml"):
        RunFolder(tmp_path).require()


def test_new_folder_is_never_one_that_exists(tmp_path: Path) -> None:
    seen = set()
    for _ in range(3):
        path = new_folder(tmp_path, "demo")
        assert path not in seen
        assert path.name.startswith("demo-")
        path.mkdir()
        seen.add(path)


def test_runs_are_listed_oldest_first_and_nothing_else_is(tmp_path: Path) -> None:
    for age, name in ((30, "b"), (10, "a"), (20, "study/c")):
        run = started(tmp_path / name)
        os.utime(run.config, (1000 - age, 1000 - age))
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "config.yaml").write_text("seed: 0\n")
    assert [run.name for run in list_runs(tmp_path)] == ["b", "c", "a"]
    assert [run.name for run in list_runs(tmp_path / "b")] == ["b"]
    with pytest.raises(UserError, match="no such folder"):
        list_runs(tmp_path / "absent")


def test_overview_of_unfinished_and_finished_runs(tmp_path: Path) -> None:
    run = started(tmp_path / "study" / "run")
    row = overview(run, tmp_path)
    assert (row.name, row.epochs, row.macro_f1, row.state) == ("study/run", "0", None, "not reported")
    run.write_history([EpochRecord(epoch=1, best=True), EpochRecord(epoch=2, best=False)])
    figures = {"macro_f1": 0.5, "macro_f1_ci": [0.4, 0.6]}
    run.report().write_text(json.dumps({"joint": figures, "tasks": {"mask": figures}}))
    row = overview(run, run.path)
    assert (row.name, row.epochs, row.macro_f1, row.state) == ("run", "2, best 1", 0.5, "reported")
    assert row.tasks == {"mask": 0.5}


def test_run_in_folds_is_told_from_one_that_is_not(tmp_path: Path) -> None:
    plain = started(tmp_path / "plain")
    assert plain.num_folds is None
    run = RunFolder(tmp_path / "folded")
    run.create("seed: 0\n", Environment(created="2026-11-28T00:00:00+00:00"), 3)
    assert run.num_folds == 3
    assert not run.checkpoints.exists()
    assert run.fold(2).path == tmp_path / "folded" / "folds" / "2"
    assert (run.name, run.fold(2).name) == ("folded", "folded/folds/2")
    run.claim(True, 3)
    for folder, num_folds, line in (
        (run, None, r"holds a run in 3 folds; continue it with --folds 3 or name another --out$"),
        (run, 2, r"holds a run in 3 folds; continue it with --folds 3 or name another --out$"),
        (plain, 3, r"holds a run that is not in folds; continue it without --folds or name another --out$"),
    ):
        with pytest.raises(UserError, match=line):
            folder.claim(True, num_folds)
        with pytest.raises(UserError, match="holds a run already; continue it with --resume"):
            folder.claim(False, num_folds)


def test_folds_are_listed_below_their_run_and_not_beside_it(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.create("seed: 0\n", Environment(), 2)
    fold = run.fold(0)
    fold.create("seed: 0\n", Environment())
    assert [found.name for found in list_runs(tmp_path)] == ["run"]
    assert {found.name for found in list_runs(run.path)} == {"run", "run/folds/0"}
    assert overview(run, tmp_path).epochs == "0 of 2 folds"
    fold.report().write_text("{}")
    assert overview(run, tmp_path).epochs == "1 of 2 folds"


@pytest.mark.parametrize("content", [b"\xff", b"{", b'{"epoch": "1", "best": true}', b'{"best": true}', b"[1]"])
def test_a_damaged_run_is_a_line_of_the_list_and_hides_no_other(tmp_path: Path, content: bytes) -> None:
    hurt, whole = started(tmp_path / "hurt"), started(tmp_path / "whole")
    for run in (hurt, whole):
        run.write_history([EpochRecord(epoch=1, best=True)])
    hurt.metrics.write_bytes(content + b"\n")
    rows = {row.name: row for row in (overview(run, tmp_path) for run in list_runs(tmp_path))}
    assert rows["hurt"].state.startswith("damaged: metrics.jsonl: ")
    assert rows["whole"].state == "not reported"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"num_folds": "3"}, "num_folds: input should be a valid integer, found '3'"),
        ({"created": 5}, "created: input should be text, found 5"),
        ({"device": None}, "device: field required"),
    ],
)
def test_what_an_environment_must_hold_is_named(tmp_path: Path, change: dict[str, object], line: str) -> None:
    run = started(tmp_path / "run")
    run.environment.write_text(json.dumps({"created": "2026-11-28T00:00:00+00:00", "device": "cpu", **change}))
    with pytest.raises(UserError) as caught:
        run.read_environment("device")
    assert str(caught.value) == f"{run.environment}: is damaged: {line}"
