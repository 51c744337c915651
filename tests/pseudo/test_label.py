"""Unlabelled images labelled by a run: what is written trains, and what cannot be labelled is refused."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from multitask.config import Config, load_config
from multitask.errors import UserError
from multitask.inference.inputs import InputOptions
from multitask.inference.predictor import Predictor
from multitask.labels import MISSING
from multitask.pseudo.label import NothingSureError, config_path, label_images
from multitask.pseudo.report_schema import PseudoReport, read_report, report_path
from multitask.pseudo.settings import PseudoSettings
from multitask.pseudo.table import with_pseudo_labels
from multitask.runs.config import read_run
from multitask.runs.data_module import DataModule
from multitask.runs.run import run

MakeConfig = Callable[..., Config]

LENIENT = PseudoSettings(precision=0.2, certainty=0.5)
"""What a network that is as good as untrained can be sure of."""


@pytest.fixture(scope="module")
def labelled(folded: Path, unlabelled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PseudoReport]:
    """The table of labels that the run gives, and its report; not to be written to."""
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    return path, label_images(folded, unlabelled, path, LENIENT)


def test_the_table_holds_what_the_run_is_sure_of_and_nothing_else(
    labelled: tuple[Path, PseudoReport], folded: Path, unlabelled: Path
) -> None:
    path, report = labelled
    assert read_report(path) == report
    predictor = Predictor.load(folded)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == report.num_labelled > 0
    assert report.num_images == 21
    files = [Path(report.root) / row["path"] for row in rows]
    predictions = predictor.predict(files)
    thresholds = {head.task: {row.label: row.threshold for row in head.labels} for head in report.heads}
    for row, prediction in zip(rows, predictions, strict=True):
        assert row["run of labels"] == predictor.spec.fingerprint == report.fingerprint
        for task, probs in prediction.probs.items():
            best = max(probs, key=lambda label: probs[label])
            needed = thresholds[task][best]
            cell = row[task]
            if cell:
                assert (list(probs)[int(cell)] if task == "age" else cell) == best
                assert needed is not None
                assert probs[best] >= needed
                assert float(row[f"p({task})"]) == pytest.approx(probs[best], abs=1e-5)
                assert row[f"round({task})"] == "1"
            else:
                assert row[f"p({task})"] == row[f"round({task})"] == ""
    for head in report.heads:
        assert sum(bool(row[head.task]) for row in rows) == head.num_given


def test_the_config_beside_it_trains_on_the_labels_and_validates_on_the_same_groups(
    labelled: tuple[Path, PseudoReport], folded: Path, tmp_path: Path
) -> None:
    path, report = labelled
    before, after = DataModule(read_run(folded).config), DataModule(load_config(config_path(path)))
    assert len(after.samples) == len(before.samples) + report.num_labelled
    pseudo = after.samples.sources == "pseudo"
    assert set(np.flatnonzero(pseudo)) <= set(after.split.train)
    names = [image.removeprefix("labelled/") for image in after.samples.images[after.split.val]]
    assert names == before.samples.images[before.split.val].tolist()
    given = (after.samples.labels[pseudo] != MISSING).sum(axis=0)
    assert dict(zip(after.space.task_names, given, strict=True)) == {head.task: head.num_given for head in report.heads}
    assert run(load_config(config_path(path)), tmp_path / "run").report is not None


def test_groups_are_judged_on_pooled_evidence(tiny: MakeConfig, unlabelled: Path, tmp_path: Path) -> None:
    changes = {"labels.tasks.gender.per_group": True, "data.val_fraction": 0.4}
    run(tiny(changes), tmp_path / "run")
    options = InputOptions(groups_by_folder=True)
    report = label_images(tmp_path / "run", unlabelled, tmp_path / "l.csv", LENIENT, options=options)
    gender = report.heads[1]
    assert gender.pooled
    assert gender.labels == ()
    assert len(gender.group_labels) == 2
    with (tmp_path / "l.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["group"] for row in rows}) == len({Path(row["path"]).parent for row in rows})


def test_images_of_the_run_are_left_out_also_as_copies(
    folded: Path, unlabelled: Path, drawn: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(unlabelled, folder)
    own = sorted((drawn / "train" / "images").rglob("*.*"))[:3]
    for number, path in enumerate(own):
        shutil.copy(path, folder / f"copy{number}{path.suffix}")
    report = label_images(folded, folder, tmp_path / "l.csv", LENIENT)
    assert (report.num_own, report.num_images) == (3, 21)
    assert "copy" not in (tmp_path / "l.csv").read_text()


def refused(folder: Path, match: str, call: Callable[[], object]) -> None:
    """A refusal in one line that leaves nothing behind."""
    before = sorted(folder.iterdir())
    with pytest.raises(UserError, match=match):
        call()
    assert sorted(folder.iterdir()) == before


def test_what_cannot_be_labelled_is_refused(folded: Path, unlabelled: Path, drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "l.csv"
    (tmp_path / "empty").mkdir()
    refused(tmp_path, "are the run's own", lambda: label_images(folded, drawn / "train", out, LENIENT))
    refused(tmp_path, "empty", lambda: label_images(folded, tmp_path / "empty", out, LENIENT))
    refused(tmp_path, "nothere", lambda: label_images(folded, tmp_path / "nothere", out, LENIENT))
    refused(tmp_path, r"must end in \.csv", lambda: label_images(folded, unlabelled, tmp_path / "l.txt", LENIENT))
    refused(tmp_path, "there is no folder", lambda: label_images(folded, unlabelled, tmp_path / "no" / "l.csv"))
    with pytest.raises(NothingSureError, match=r"no head is sure enough: of no label a precision of 0.95"):
        label_images(folded, unlabelled, out)
    assert not out.exists()


def test_a_run_that_nobody_validated_is_refused(tiny: MakeConfig, unlabelled: Path, tmp_path: Path) -> None:
    run(tiny({"data.val_fraction": 0, "training.epochs": 1}), tmp_path / "run")
    with pytest.raises(UserError, match=r"no predictions of groups that it did not train on .*--folds 5"):
        label_images(tmp_path / "run", unlabelled, tmp_path / "l.csv", LENIENT)


def test_labels_of_another_label_space_are_refused(
    labelled: tuple[Path, PseudoReport], folded: Path, unlabelled: Path, tiny: MakeConfig, tmp_path: Path
) -> None:
    path, _ = labelled
    with pytest.raises(UserError, match="another label space: age has the classes"):
        with_pseudo_labels(tiny({"labels.tasks.age.edges": [20, 60]}), path)
    other = tiny({"labels.tasks": {"mask": {"classes": ["wear", "incorrect", "not_worn"]}}})
    with pytest.raises(UserError, match=r"another label space: .* has the tasks mask, gender, age"):
        with_pseudo_labels(other, path)
    with pytest.raises(UserError, match="another label space"):
        label_images(folded, unlabelled, tmp_path / "l.csv", LENIENT, config=other)
    assert not any(tmp_path.iterdir())


def test_a_table_of_a_source_that_is_several_already_is_one_more(
    labelled: tuple[Path, PseudoReport], folded: Path
) -> None:
    path, _ = labelled
    once = with_pseudo_labels(read_run(folded).config, path)
    twice = with_pseudo_labels(once, path)
    assert twice == once  # the table of the round before makes way


def test_a_table_without_its_report_is_refused(
    labelled: tuple[Path, PseudoReport], folded: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "labels.csv"
    shutil.copy(labelled[0], alone)
    with pytest.raises(UserError, match=r"labels.json: no such file"):
        with_pseudo_labels(read_run(folded).config, alone)
    report_path(alone).write_text(json.dumps({"version": 1}))
    with pytest.raises(UserError, match=r"labels.json: is damaged"):
        with_pseudo_labels(read_run(folded).config, alone)


def test_labels_are_the_same_each_time(
    labelled: tuple[Path, PseudoReport], folded: Path, unlabelled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "labels.csv"
    again = label_images(folded, unlabelled, out, PseudoSettings(**LENIENT.model_dump()))
    assert again.heads == labelled[1].heads
