"""Unlabelled images labelled by a run: what is written trains, and what cannot be labelled is refused."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from multitask.config import Config, load_config
from multitask.data.synthetic import draw_set
from multitask.errors import UserError
from multitask.inference.inputs import InputOptions, NamedInputs
from multitask.inference.predictor import Predictor
from multitask.labels import MISSING
from multitask.progress import Progress
from multitask.pseudo.config import with_pseudo_labels
from multitask.pseudo.label import NothingSureError, check_output, config_path, label_images
from multitask.pseudo.own_images import OwnImages
from multitask.pseudo.report_schema import PseudoReport, read_report
from multitask.pseudo.settings import PseudoSettings
from multitask.runs.config import read_run
from multitask.runs.data_module import DataModule
from multitask.runs.out_of_fold import read_out_of_fold
from multitask.runs.run import run
from multitask.utils.files import csv_text
from tests.pseudo.conftest import LENIENT

MakeConfig = Callable[..., Config]


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


def test_that_no_head_can_be_sure_is_said_before_an_image_is_read(
    folded: Path, unlabelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multitask.pseudo.label.answer_unlabelled", None)
    monkeypatch.setattr("multitask.pseudo.label.OwnImages", None)
    for options in (InputOptions(), InputOptions(groups_by_folder=True)):  # of which no task of the run is
        with pytest.raises(NothingSureError, match=r"run: no head is sure enough: .*; ask for less with --precision"):
            label_images(folded, unlabelled, tmp_path / "l.csv", options=options)


def test_a_run_that_nobody_validated_is_refused(tiny: MakeConfig, unlabelled: Path, tmp_path: Path) -> None:
    run(tiny({"data.val_fraction": 0, "training.epochs": 1}), tmp_path / "run")
    with pytest.raises(UserError, match=r"no predictions of groups that it did not train on .*--folds 5"):
        label_images(tmp_path / "run", unlabelled, tmp_path / "l.csv", LENIENT)


def test_labels_are_the_same_each_time(
    labelled: tuple[Path, PseudoReport], folded: Path, unlabelled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "labels.csv"
    again = label_images(folded, unlabelled, out, PseudoSettings(**LENIENT.model_dump()))
    assert again.heads == labelled[1].heads
    written = config_path(out).read_text()
    config = load_config(config_path(out))  # which names the table: its images are labelled anew
    assert label_images(folded, unlabelled, out, LENIENT, config=config).heads == again.heads
    assert config_path(out).read_text() == written


def test_groups_that_the_run_knows_are_left_out(folded: Path, unlabelled: Path, drawn: Path, tmp_path: Path) -> None:
    files = sorted(path.relative_to(unlabelled) for path in unlabelled.rglob("*.jpg"))
    folders = sorted({path.parent for path in files})
    samples = DataModule(read_run(folded).config).samples
    group = {folders[0]: str(samples.groups[0])}  # by its name; the second by a copy of an image that the run has
    shutil.copytree(unlabelled, tmp_path / "images")
    shutil.copy(next(iter(samples.paths())), tmp_path / "images" / folders[1] / "copy.jpg")
    rows = [(path, group.get(path.parent, path.parent)) for path in [*files, folders[1] / "copy.jpg"]]
    table = tmp_path / "images" / "all.csv"
    table.write_text("path,who\n" + "".join(f"{path},{who}\n" for path, who in rows))
    report = label_images(folded, table, tmp_path / "l.csv", LENIENT, options=InputOptions(group_column="who"))
    num = sum(path.parent in folders[:2] for path in files)
    assert (report.num_own, report.num_of_own_groups, report.num_images) == (1, num, len(files) - num)


def test_all_images_of_an_ensemble_are_its_own_also_those_that_are_dropped(
    folded: Path, unlabelled: Path, tiny: MakeConfig, tmp_path: Path
) -> None:
    draw_set(tmp_path / "set", people=6, seed=9)
    images = sorted((tmp_path / "set" / "train" / "images").rglob("*.jpg"))
    fixes = tmp_path / "fixes.csv"
    fixes.write_text(f"path,drop\n{images[0].relative_to(tmp_path / 'set')},yes\n")
    other = tiny({"data.root": str(tmp_path / "set"), "training.epochs": 1, "data.val_fraction": 0.4})
    own = OwnImages([read_run(folded).config, other.with_changes({"data.corrections": {"files": [str(fixes)]}})])
    assert all(path in own for path in images)
    assert next(iter(DataModule(read_run(folded).config).samples.paths())) in own
    assert next(unlabelled.rglob("*.jpg")) not in own


def test_files_of_others_are_not_overwritten(
    labelled: tuple[Path, PseudoReport], folded: Path, unlabelled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "l.csv"
    for suffix in (".yaml", ".json"):
        out.with_suffix(suffix).write_text("{}")
        refused(tmp_path, rf"l{suffix}: exists and was not", lambda: label_images(folded, unlabelled, out, LENIENT))
        out.with_suffix(suffix).unlink()
    shutil.copy(config_path(labelled[0]), out.with_suffix(".yaml"))  # of a table of another name
    refused(tmp_path, "l.yaml: exists and was not", lambda: label_images(folded, unlabelled, out, LENIENT))
    again = tmp_path / "again" / "labels.csv"
    again.parent.mkdir()
    trains = with_pseudo_labels(read_run(folded).config, again, replace(labelled[1], root=str(tmp_path)))
    config_path(again).write_text(trains.to_yaml())  # as a process leaves it that is killed in between
    check_output(again, NamedInputs([str(unlabelled)], InputOptions()))
    read = tmp_path / "mine.csv"
    read.write_text(f"path\n{next(unlabelled.rglob('*.jpg'))}\n")
    refused(tmp_path, "is read", lambda: label_images(folded, read, read, LENIENT))


def test_a_config_that_cannot_train_is_refused_before_an_image_is_answered(
    folded: Path, unlabelled: Path, tiny: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multitask.pseudo.label.answer_unlabelled", None)
    other = tiny({"labels.tasks.age.edges": [20, 60]})
    refused(tmp_path, "another label space", lambda: label_images(folded, unlabelled, tmp_path / "l.csv", config=other))


def test_heads_are_proven_on_groups_of_which_some_labels_are_known(folded: Path, tmp_path: Path) -> None:
    shutil.copytree(folded, tmp_path / "run")
    before = read_out_of_fold(read_run(folded))
    trained = read_run(tmp_path / "run")
    with trained.folder.predictions().open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows = [row | {"mask": "", "class": ""} for row in rows]
    trained.folder.predictions().write_text(csv_text(list(rows[0]), [list(row.values()) for row in rows]))
    found = read_out_of_fold(trained)
    assert (found.single["gender"].labels == before.single["gender"].labels).all()
    assert not len(found.single["mask"].known().labels)
    rows = [row | {"gender": "", "age": ""} for row in rows]
    trained.folder.predictions().write_text(csv_text(list(rows[0]), [list(row.values()) for row in rows]))
    with pytest.raises(UserError, match="fewer than two groups with labels"):
        read_out_of_fold(trained)


def test_what_a_sampler_does_to_them_is_told(folded: Path, unlabelled: Path, tiny: MakeConfig, tmp_path: Path) -> None:
    notes: list[str] = []
    progress = Progress()
    progress.note = notes.append  # type: ignore[method-assign]
    config = tiny({"data.sampler.name": "groups_balanced"})
    label_images(folded, unlabelled, tmp_path / "l.csv", LENIENT, config=config, progress=progress)
    assert any(note.startswith("data.sampler: groups_balanced draws") for note in notes)
