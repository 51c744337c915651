"""Answers of groups that a network did not train on, where one flat head learns from partial labels alone."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from multitask.config import Config
from multitask.evaluation.predictions import Predictions
from multitask.labels import MISSING
from multitask.runs.config import TrainedRun, read_run
from multitask.runs.out_of_fold import prior_of, read_out_of_fold
from multitask.runs.run import run
from multitask.utils.files import csv_text


@pytest.fixture(scope="module")
def partial(tiny: Callable[..., Config], drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """One head over the classes, of which no image shows the whole: one source labels masks, the other the rest."""
    source = {"root": str(drawn), "source": "synthetic"}
    sources = {"masks": {**source, "tasks": ["mask"]}, "others": {**source, "tasks": ["gender", "age"]}}
    changes = {
        "data.root": "",
        "data.source": {"name": "several", "sources": sources},
        "data.val_fraction": 0.3,
        "model.sharing.name": "flat",
        "training.epochs": 1,
        "training.schedule.warmup_epochs": 0,
        "training.monitor": "tasks.gender.macro_f1",
    }
    path = tmp_path_factory.mktemp("partial") / "run"
    run(tiny(changes), path)
    return read_run(path)


def test_a_flat_head_is_scored_per_task_where_labels_are_known(partial: TrainedRun) -> None:
    config = partial.config
    answers = Predictions.from_csv(partial.folder.predictions(), config.space(), config.learned_space())
    found = read_out_of_fold(partial)
    labelled = {name: int((part.labels != MISSING).sum()) for name, part in found.single.items()}
    assert labelled["joint"] == 0
    assert labelled["gender"] == labelled["age"] == int((answers.labels[:, 1] != MISSING).sum()) > 0
    assert labelled["mask"] == len(answers) - labelled["age"] > 0
    # Nothing is there to fit a temperature by, so that the answers are the network's own.
    for task, log_probs in answers.task_log_probs().items():
        np.testing.assert_allclose(found.single[task].probs, log_probs.exp().numpy(), atol=1e-6)
    prior, why = prior_of(found, "joint", found.single["joint"].probs, answers.group_indices(), 0)
    assert prior is None
    assert "is not identifiable" in why


def test_one_group_whose_classes_are_known_fits_the_others_alone(partial: TrainedRun) -> None:
    folder, config = partial
    with folder.predictions().open(newline="") as file:
        rows = list(csv.DictReader(file))
    group = next(row["group"] for row in rows if row["age"])
    mine = np.array([row["group"] == group for row in rows])
    changed = [row | {"mask": "wear"} if own else row for row, own in zip(rows, mine, strict=True)]
    before = read_out_of_fold(partial).single["age"].probs
    text = folder.predictions().read_text()
    try:
        folder.predictions().write_text(csv_text(list(rows[0]), [list(row.values()) for row in changed]))
        found = read_out_of_fold(TrainedRun(folder, config)).single["age"].probs
    finally:
        folder.predictions().write_text(text)
    assert np.allclose(found[mine], before[mine], atol=1e-6)
    assert not np.allclose(found[~mine], before[~mine], atol=1e-6)
