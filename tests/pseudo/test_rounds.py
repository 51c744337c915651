"""Rounds of pseudo-labels: each trains on the labels of the one before; what is killed goes on as if it never was."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from multitask.config import Config, load_config
from multitask.errors import UserError
from multitask.inference.run_spec import run_spec
from multitask.progress import Progress
from multitask.pseudo import rounds
from multitask.pseudo.config import LABELLED, PSEUDO
from multitask.pseudo.label import NothingSureError, config_path
from multitask.pseudo.report_schema import read_report
from multitask.pseudo.rounds import pseudo_rounds
from multitask.pseudo.rounds_folder import RoundsFolder
from multitask.pseudo.rounds_schema import RoundsReport
from multitask.pseudo.settings import PseudoSettings, RoundsSettings
from multitask.runs.config import TrainedRun, load_run_config, read_run
from multitask.runs.cross_validation import members
from multitask.runs.folder import RunFolder
from multitask.runs.out_of_fold import read_out_of_fold
from multitask.runs.run import run
from multitask.settings import validate
from multitask.utils.records import read_record
from tests.processes import Forked, kill_once_stopped, stops_after
from tests.pseudo.conftest import LENIENT

SETTINGS = RoundsSettings(precision=0.3, certainty=0.5, rounds=2, precision_step=0.1)
HERE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def single(tiny: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of which half of the groups validate; not to be written to."""
    path = tmp_path_factory.mktemp("single") / "run"
    run(tiny({"data.val_fraction": 0.5, "training.epochs": 2, "training.schedule.warmup_epochs": 0}), path)
    return path


@pytest.fixture(scope="module")
def finished(single: Path, unlabelled: Path, tmp_path_factory: pytest.TempPathFactory) -> RoundsFolder:
    """Two rounds; not to be written to."""
    folder = RoundsFolder(tmp_path_factory.mktemp("rounds") / "rounds")
    report = pseudo_rounds(single, unlabelled, folder.path, SETTINGS)
    assert [row.number for row in report.rounds] == [1, 2]
    return folder


def test_each_round_is_labelled_by_the_run_of_the_round_before(single: Path, finished: RoundsFolder) -> None:
    first, second = (read_report(finished.table(number)) for number in (1, 2))
    assert (first.run, second.run) == (single.name, "run")
    assert first.fingerprint != second.fingerprint
    assert (first.round, second.round) == (1, 2)
    assert (first.precision, second.precision) == (0.3, 0.2)
    assert first.num_images == second.num_images == 21  # those of the round before do not count as the run's own


def test_a_round_trains_on_the_given_labels_and_its_own_table_alone(finished: RoundsFolder) -> None:
    config = load_config(config_path(finished.table(2)))
    sources = config.data.source.model_dump()["sources"]
    assert list(sources) == [LABELLED, PSEUDO]
    assert Path(sources[PSEUDO]["root"], sources[PSEUDO]["source"]["file"]) == finished.table(2).resolve()
    assert RunFolder(finished.run(2)).read_report().training.num_epochs == 2


def test_a_label_keeps_the_round_in_which_it_was_first_given(finished: RoundsFolder) -> None:
    rows = []
    for number in (1, 2):
        with finished.table(number).open(newline="") as file:
            root = Path(read_report(finished.table(number)).root)
            rows.append({(root / row["path"]).resolve(): row for row in csv.DictReader(file)})
    first, second = rows
    seen = set()
    for path, row in second.items():
        for task in ("mask", "gender", "age"):
            if row[task]:
                same = first.get(path, {}).get(task) == row[task]
                assert row[f"round({task})"] == ("1" if same else "2")
                seen.add(same)
    assert True in seen


def test_scores_are_compared_on_the_groups_that_the_first_run_did_not_train_on(
    single: Path, unlabelled: Path, finished: RoundsFolder
) -> None:
    report = pseudo_rounds(single, unlabelled, finished.path, SETTINGS)  # again: nothing is left to do
    for row in report.rounds:
        assert {found.metric for found in row.differences} >= {"joint.macro_f1", "tasks.mask.macro_f1"}
        assert {found.num_images for found in row.differences} == {RunFolder(single).read_report().num_images}
        scores = RunFolder(finished.run(row.number)).read_report()
        assert (row.macro_f1, row.macro_f1_ci) == (scores.joint.macro_f1, scores.joint.macro_f1_ci)
        assert row.tasks == {name: task.macro_f1 for name, task in scores.tasks.items()}


@pytest.fixture(scope="module")
def in_folds(folded: Path, unlabelled: Path, tmp_path_factory: pytest.TempPathFactory) -> RoundsFolder:
    """Two rounds of a run in two folds; not to be written to."""
    folder = RoundsFolder(tmp_path_factory.mktemp("in folds") / "rounds")
    pseudo_rounds(folded, unlabelled, folder.path, RoundsSettings(**LENIENT.model_dump(), rounds=2))
    return folder


def test_each_fold_learns_from_the_network_that_saw_none_who_validates_it(folded: Path, in_folds: RoundsFolder) -> None:
    assert read_record(in_folds.report, RoundsReport).caveat == ""
    teacher = RunFolder(folded)
    for number in (1, 2):
        student = RunFolder(in_folds.run(number))
        assert read_report(in_folds.table(number)).fold is None
        for fold in (0, 1):
            labels = read_report(in_folds.fold_table(number, fold))
            assert labels.fold == fold
            assert labels.fingerprint == run_spec(read_run(teacher.fold(fold).path)).fingerprint
            config = load_run_config(student.fold(fold))
            part = config.data.source.model_dump()["sources"][PSEUDO]
            assert Path(part["root"], part["source"]["file"]) == in_folds.fold_table(number, fold).resolve()
            seen = _groups(teacher.fold(fold), "train")
            assert not {group.removeprefix(f"{LABELLED}/") for group in _groups(student.fold(fold), "val")} & seen
        teacher = student
        for member, config in members(read_run(student.path)):
            assert load_run_config(member) == config
    # For use the whole run is that of the table which all networks have filled.
    part = load_run_config(teacher).data.source.model_dump()["sources"][PSEUDO]
    assert Path(part["root"], part["source"]["file"]) == in_folds.table(2).resolve()


def _groups(folder: RunFolder, side: str) -> set[str]:
    with folder.split.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == side]
    return {row["group"].removeprefix(f"{LABELLED}/") for row in rows}


def test_what_a_fold_must_be_sure_of_is_found_on_the_groups_of_the_others(folded: Path) -> None:
    trained = read_run(folded)
    whole, left = read_out_of_fold(trained).single["mask"], read_out_of_fold(trained, 0).single["mask"]
    inside = len(_groups(trained.folder.fold(0), "val"))
    assert len(set(left.groups)) == len(set(whole.groups)) - inside > 0


def test_a_fold_whose_groups_the_network_was_trained_on_is_told(
    folded: Path, unlabelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Sequence[Path]] = []

    def train(path: Path, table: Path, of_folds: Sequence[Path], *_: object) -> TrainedRun:
        trained.append(of_folds)
        return read_run(folded)

    monkeypatch.setattr("multitask.pseudo.rounds._train", train)
    settings, folder = RoundsSettings(**LENIENT.model_dump()), RoundsFolder(tmp_path / "rounds")
    other = read_run(folded).config.with_changes({"data.split_seed": 5})
    report = pseudo_rounds(folded, unlabelled, folder.path, settings, config=other)
    assert report.caveat.startswith("folds 0, 1 learned from labels of all networks")
    assert trained == [[folder.table(1), folder.table(1)]]


def test_a_fold_whose_network_is_sure_of_nothing_is_told(
    folded: Path, unlabelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label, folder = rounds.label_images, RoundsFolder(tmp_path / "rounds")

    def unsure(*args: Any, fold: int | None, **rest: Any) -> object:
        if fold == 1:
            raise NothingSureError("no head is sure")
        return label(*args, fold=fold, **rest)

    monkeypatch.setattr(rounds, "label_images", unsure)
    monkeypatch.setattr(rounds, "_train", lambda *_: read_run(folded))
    with pytest.warns(
        RuntimeWarning, match=r"^round 1: no head is sure; fold 1 learns from the labels of all networks$"
    ):
        report = pseudo_rounds(folded, unlabelled, folder.path, RoundsSettings(**LENIENT.model_dump()))
    assert report.caveat.startswith("fold 1 learned from labels of all networks")
    assert not folder.fold_table(1, 1).exists()


def test_rounds_that_end_early_are_warned_of(
    single: Path, unlabelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label, folder = rounds.label_images, RoundsFolder(tmp_path / "rounds")

    def unsure(*args: Any, **rest: Any) -> object:
        if folder.table(2) in args:
            raise NothingSureError("no head is sure")
        return label(*args, **rest)

    monkeypatch.setattr(rounds, "label_images", unsure)
    monkeypatch.setattr(rounds, "_train", lambda *_: read_run(single))
    settings = RoundsSettings(**LENIENT.model_dump(), rounds=2)
    with pytest.warns(RuntimeWarning, match=r"^round 2: no head is sure; the rounds end here$"):
        report = pseudo_rounds(single, unlabelled, folder.path, settings)
    assert len(report.rounds) == 1


def test_rounds_that_began_otherwise_are_refused(
    single: Path, unlabelled: Path, finished: RoundsFolder, tmp_path: Path
) -> None:
    other = SETTINGS.model_copy(update={"precision": 0.4})
    with pytest.raises(UserError, match=r"began with precision 0\.\d+, not 0\.\d+; go on"):
        pseudo_rounds(single, unlabelled, finished.path, other)
    with pytest.raises(UserError, match="began with other images;"):
        pseudo_rounds(single, next(unlabelled.iterdir()), finished.path, SETTINGS)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="exists and is no folder of rounds; name another -o"):
        pseudo_rounds(single, unlabelled, tmp_path, SETTINGS)


def test_where_nothing_is_labelled_nothing_is_left(single: Path, unlabelled: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no head is sure enough"):
        pseudo_rounds(single, unlabelled, tmp_path / "rounds", RoundsSettings(rounds=2))
    with pytest.raises(UserError, match="the run's own"):
        pseudo_rounds(single, _own(single), tmp_path / "rounds", SETTINGS)
    with pytest.raises(UserError, match="there is no folder"):
        pseudo_rounds(single, unlabelled, tmp_path / "none" / "rounds", SETTINGS)
    assert not any(tmp_path.iterdir())


def _own(path: Path) -> Path:
    return Path(load_config(path / "config.yaml").data.root) / "train" / "images"


def test_a_process_that_is_killed_goes_on_as_if_it_never_was(
    single: Path, unlabelled: Path, finished: RoundsFolder, tmp_path: Path
) -> None:
    folder = RoundsFolder(tmp_path / "rounds")
    words = ["--precision", "0.3", "--certainty", "0.5", "--rounds", "2", "--precision-step", "0.1"]
    line = ["pseudo", str(single), "--data", str(unlabelled), "-o", str(folder.path), *words]
    process = Forked(
        [sys.executable, "-m", "multitask", *line],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(HERE), **stops_after("multitask.runs.folder:RunFolder.write_history")},
    )
    kill_once_stopped(process)
    assert (folder.run(1) / "metrics.jsonl").exists()
    assert not folder.report.exists()
    pseudo_rounds(single, unlabelled, folder.path, SETTINGS)
    for number in (1, 2):
        one, two = (RunFolder(where.run(number)).predictions().read_bytes() for where in (folder, finished))
        assert one == two
        assert read_report(folder.table(number)).heads == read_report(finished.table(number)).heads

    class Told(Progress):
        def note(self, text: str) -> None:
            assert "training on" not in text

    folder.report.unlink()
    pseudo_rounds(single, unlabelled, folder.path, SETTINGS, progress=Told())


def test_settings_that_would_be_ignored_or_leave_nothing_are_refused() -> None:
    with pytest.raises(UserError, match=r"precision_step: 0\.1 would be ignored"):
        validate(RoundsSettings, {"precision_step": 0.1})
    with pytest.raises(UserError, match="leaves no precision in round 5"):
        validate(RoundsSettings, {"precision": 0.4, "precision_step": 0.1, "rounds": 5})
    assert SETTINGS.of_round(2) == PseudoSettings(precision=0.2, certainty=0.5)
