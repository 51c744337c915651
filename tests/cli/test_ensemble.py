"""``multitask ensemble``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Called


def test_makes_a_run_that_other_commands_take(
    call: Callable[..., Called], config_file: Callable[..., Path], tmp_path: Path, drawn: Path
) -> None:
    runs = [tmp_path / "one", tmp_path / "two"]
    for seed, run in enumerate(runs):
        config = config_file({"training.epochs": 1, "seed": seed, "data.split_seed": 0})
        assert call("train", config, "--out", run, "--quiet").code == 0
    made = tmp_path / "made"
    done = call("ensemble", *runs, "-o", made)
    assert done.code == 0, done.err
    text = " ".join(done.out.split())
    assert "its best member" in text
    assert "equal weights" in text
    assert (made / "report.html").is_file()
    assert call("report", made).code == 0
    assert "made" in call("compare", made, *runs).out
    answers = tmp_path / "answers.csv"
    assert call("predict", made, drawn / "train", "-o", answers, "--quiet").code == 0
    assert call("evaluate", made, "--quiet").code == 0
    assert "is an ensemble of runs" in call("evaluate", made, "--engine", "torch").refusal()
    assert "holds an ensemble" in call("train", config, "--out", made, "--resume").refusal()
    assert "is not in folds" in call("final", made, "-o", tmp_path / "final").refusal()
    assert "exists already" in call("ensemble", *runs, "-o", made).refusal()
    assert (
        "would be ignored"
        in call("ensemble", *runs, "-o", tmp_path / "x", "--vote", "hard", "--weights", "equal").refusal()
    )
    assert "is named twice" in call("ensemble", runs[0], runs[0], "-o", tmp_path / "x").refusal()
    report = runs[1] / "report.json"
    report.write_text(report.read_text()[:100])
    assert call("ensemble", *runs, "-o", tmp_path / "x").refusal().startswith(f"{report}: is damaged")
    assert "needs two runs" in call("ensemble", runs[0], "-o", tmp_path / "x").refusal()
    assert not (tmp_path / "x").exists()


def test_soups(call: Callable[..., Called], config_file: Callable[..., Path], tmp_path: Path) -> None:
    runs, soup = [tmp_path / "one", tmp_path / "two"], tmp_path / "soup"
    for seed, run in enumerate(runs):
        config = config_file({"training.epochs": 1, "training.lr": 1e-3 * (1 + seed)})
        assert call("train", config, "--out", run, "--quiet").code == 0
    done = call("ensemble", *runs, "-o", soup, "--soup", "greedy", "--batch-norm", "estimate")
    assert done.code == 0, done.err
    assert "which flatters" in " ".join(done.out.split())
    assert (
        "would be ignored beside --soup"
        in call("ensemble", *runs, "-o", soup, "--soup", "greedy", "--vote", "hard").refusal()
    )
    assert "without --soup" in call("ensemble", *runs, "-o", soup, "--batch-norm", "average").refusal()
