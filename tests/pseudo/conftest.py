from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from multitask.config import Config
from multitask.data.synthetic import draw_set
from multitask.pseudo.label import label_images
from multitask.pseudo.report_schema import PseudoReport
from multitask.pseudo.settings import PseudoSettings
from multitask.runs.cross_validation import run_folds

QUICK = {"data.val_fraction": 0.2, "training.epochs": 2, "training.schedule.warmup_epochs": 0}

LENIENT = PseudoSettings(precision=0.2, certainty=0.5)
"""What a network that is as good as untrained can be sure of."""


@pytest.fixture(scope="session")
def folded(tiny: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in two folds; not to be written to."""
    path = tmp_path_factory.mktemp("pseudo") / "run"
    run_folds(tiny(QUICK), 2, path)
    return path


@pytest.fixture(scope="session")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 21 images of three people, a folder each, that no run here has seen; not to be written to."""
    folder = tmp_path_factory.mktemp("unlabelled")
    draw_set(folder / "set", people=3, seed=7)
    shutil.move(folder / "set" / "train" / "images", folder / "images")
    shutil.rmtree(folder / "set")
    return folder / "images"


@pytest.fixture(scope="session")
def labelled(folded: Path, unlabelled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PseudoReport]:
    """The table of labels that the run gives, and its report; not to be written to."""
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    return path, label_images(folded, unlabelled, path, LENIENT)
