"""``multitask pseudo`` from the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from multitask.cli.pseudo import _show, _show_rounds, command
from multitask.config import Config
from multitask.data.synthetic import draw_set
from multitask.evaluation.intervals import Difference
from multitask.pseudo.report_schema import read_report
from multitask.pseudo.rounds_schema import RoundReport, RoundsReport
from multitask.pseudo.settings import PseudoSettings
from multitask.runs.cross_validation import run_folds
from multitask.runs.run import run

Call = Callable[..., Any]
QUICK = {"data.val_fraction": 0.2, "training.epochs": 1, "training.schedule.warmup_epochs": 0}
LENIENT = ("--precision", 0.2, "--certainty", 0.5)


@pytest.fixture(scope="module")
def folded(tiny: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("folded") / "run"
    run_folds(tiny(QUICK), 2, path)
    return path


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unlabelled") / "set"
    draw_set(folder, people=3, seed=7)
    return folder / "train" / "images"


def test_labels_report_and_config(
    call: Call, folded: Path, unlabelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "labels.csv"
    done = call("pseudo", folded, "--data", unlabelled, "-o", out, *LENIENT)
    assert "--rounds 1 trains each fold on labels of the network that saw none of its groups" in done.out
    assert done.code == 0, done.err
    assert "labels at a precision of 0.2" in done.out
    assert "of 21 images have a label" in done.out
    for name in ("labels.csv", "labels.json", "labels.yaml"):
        assert (tmp_path / name).is_file()
        assert str(tmp_path / name) in done.out
    assert call("config", tmp_path / "labels.yaml").code == 0
    report = read_report(out)
    rows = [replace(row, why="said of groups") for row in report.heads[1].labels]
    heads = (report.heads[0], replace(report.heads[1], group_labels=tuple(rows)))
    capsys.readouterr()
    _show(replace(report, heads=heads), out)
    shown = capsys.readouterr().out
    assert f"{report.heads[1].task}, per group" in shown
    assert "said of groups" in shown


def test_what_is_not_given_is_as_in_python() -> None:
    given = {option.name: option.default for option in command.params}
    assert PseudoSettings().model_dump() == {name: given[name] for name in PseudoSettings.model_fields}


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--precision", 1), ("precision", "less than 1")),
        (("--precision", 0), ("precision", "greater than 0")),
        (("--precision", 1.5), ("precision", "less than 1")),
        (("--certainty", 0.2), ("certainty",)),
        (("--weight", -1), ("weight",)),
        (("--precision-step", 0.1), ("--precision-step", "--rounds")),
        (("--rounds", 1, "--precision-step", 0.1), ("precision_step", "one round")),
        (("--rounds", 3, "--precision-step", 0.5), ("precision_step", "round 3")),
        (("--rounds", 50), ("rounds",)),
        (("--config", "nowhere.yaml"), ("nowhere.yaml",)),
        (("--group-column", "who"), ("--group-column", "ignored")),
        ((), ("no head is sure enough", "--precision")),
    ],
)
def test_mistakes_are_one_line(
    call: Call, folded: Path, unlabelled: Path, tmp_path: Path, words: tuple[Any, ...], parts: tuple[str, ...]
) -> None:
    line = call("pseudo", folded, "--data", unlabelled, "-o", tmp_path / "labels.csv", *words).refusal()
    for part in parts:
        assert part in line
    assert not any(tmp_path.iterdir())


def test_rounds(call: Call, tiny: Callable[..., Config], unlabelled: Path, tmp_path: Path) -> None:
    run(tiny({**QUICK, "data.val_fraction": 0.5}), tmp_path / "run")
    out = tmp_path / "rounds"
    words = ("pseudo", tmp_path / "run", "--data", unlabelled, "-o", out, "--rounds", 1, *LENIENT)
    done = call(*words)
    assert done.code == 0, done.err
    assert "rounds after run" in done.out
    assert str(out / "round-1" / "run") in done.out
    assert (out / "report.json").is_file()
    assert call(*words, "--weight", 2).refusal().startswith(f"{out}: holds rounds that began with weight 1.0, not 2.0;")


def test_rounds_without_a_joint_score_show_the_tasks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gain = Difference("after", "tasks.mask.macro_f1", 9, 3, 0.125, -0.05, 0.25)
    row = RoundReport(
        number=1,
        precision=0.9,
        num_images=30,
        num_labelled=20,
        given={"mask": 20, "age": 0},
        macro_f1=None,
        macro_f1_ci=None,
        tasks={"mask": 0.5, "age": None},
        differences=(gain,),
    )
    _show_rounds(RoundsReport(run="first", rounds=(row,)), tmp_path)
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["mask", ".500", "+0.125", "(-0.050", "to", "+0.250)"] in [line[-6:] for line in shown]
    assert ["age", "-", "-"] in shown


def test_no_run_and_no_images_are_one_line(call: Call, folded: Path, drawn: Path, tmp_path: Path) -> None:
    assert "no run folder" in call("pseudo", tmp_path, "--data", tmp_path, "-o", tmp_path / "l.csv").refusal()
    assert str(tmp_path) in call("pseudo", folded, "--data", tmp_path, "-o", tmp_path / "l.csv").refusal()
    line = call("pseudo", folded, "--data", drawn / "train", *LENIENT, "-o", tmp_path / "l.csv").refusal()
    assert "the run's own" in line
    assert not any(tmp_path.iterdir())
