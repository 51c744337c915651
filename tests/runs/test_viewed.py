from __future__ import annotations

import json
from pathlib import Path

import pytest

from multitask.config import Config
from multitask.evaluation.views import Views
from multitask.progress import Progress
from multitask.runs.config import read_run
from multitask.runs.cross_validation import run_folds
from multitask.runs.evaluate import evaluate
from multitask.runs.page import write_page
from multitask.settings import override, validate
from multitask.testing import tiny_run
from multitask.testing.example_run import TINY

FLIP = Views(("flip",))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run(tmp_path_factory.mktemp("viewed"))


def test_views_are_scored_beside_and_replace_nothing(run: Path) -> None:
    trained = read_run(run)
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    report = evaluate(trained, "val", Progress(), FLIP)
    assert report.split == "val-flip"
    assert report.decode_rules is not None
    assert report.decode_rules.cross_fitted
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.name in before} == before
    assert {path.name for path in run.iterdir()} - {*before} - {"checkpoints"} == {
        "report-val-flip.json",
        "predictions-val-flip.csv",
    }
    assert "split val-flip" in write_page(trained, report.split).read_text()
    train = evaluate(trained, "train", Progress(), Views(("flip", "scale"), frozenset({("age", "flip")})))
    assert train.split == "train-flip+scale-not-age.flip"


def test_folds_are_scored_out_of_fold(run: Path, tmp_path: Path) -> None:
    changes = {"data.root": str(run.parent / "set"), "training.epochs": 1}
    config = {**TINY, "data": {key: value for key, value in TINY["data"].items() if key != "val_fraction"}}
    folds = tmp_path / "folds"
    whole = run_folds(validate(Config, override(Config, config, changes)), 2, folds).report
    report = evaluate(read_run(folds), "val", Progress(), FLIP)
    assert (report.split, report.num_images) == ("val-flip", whole.num_images)
    assert (folds / "folds/1/report-val-flip.json").is_file()
    assert json.loads((folds / "report.json").read_text())["split"] == "val"
