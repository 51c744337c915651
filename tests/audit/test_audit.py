"""An audit from a run to corrections and back: files, what is refused, and training again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multitask.audit.apply import apply_corrections, before_and_after
from multitask.audit.find import audit_run, read_folds
from multitask.audit.folder import AuditFolder
from multitask.config import Config
from multitask.data.corrections import read_corrections
from multitask.errors import UserError
from multitask.progress import Progress
from multitask.reporting.audit.report_schema import AuditReport, CorrectionsReport
from multitask.runs.cross_validation import run_folds
from multitask.runs.data_module import DataModule
from multitask.runs.run import run
from multitask.settings import override, validate
from multitask.settings.yaml_text import dump_yaml
from multitask.utils.records import read_record, to_json_data

MakeConfig = Callable[..., Config]
QUICK = {"data.val_fraction": 0.2, "training.epochs": 1, "training.schedule.warmup_epochs": 0}


@pytest.fixture(scope="module")
def folded(tiny: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in folds; not to be written to."""
    path = tmp_path_factory.mktemp("folded") / "run"
    run_folds(tiny(QUICK), 2, path)
    return path


def somebody(folded: Path, number: int = 0) -> tuple[str, str, str]:
    """A group, the gender it is given, and the other."""
    _, predictions = read_folds(folded)
    group = sorted(set(predictions.groups))[number]
    label = int(predictions.labels[predictions.groups == group][0, 1])
    names = predictions.space.tasks[1].classes
    return group, names[label], names[1 - label]


def flip(folded: Path, path: Path, number: int = 0, tier: str = "strong") -> Path:
    """A corrections file that flips somebody's gender."""
    group, old, new = somebody(folded, number)
    row = {"path": group, "field": "gender", "from": old, "to": new, "reason": "?", "source": "test", "tier": tier}
    path.write_text(dump_yaml({"corrections": [row]}), encoding="utf-8")
    return path


def test_audit_writes_a_page_figures_and_corrections_that_fit_the_data(folded: Path, tmp_path: Path) -> None:
    out = AuditFolder(tmp_path / "audit")
    audit = audit_run(folded, out, most=5)
    report = read_record(out.figures, AuditReport)
    assert json.loads(out.figures.read_text()) == to_json_data(report)
    assert report.num_suspects == len(audit.suspects) == len(report.suspects)
    assert report.suspects == audit.suspects
    assert report.num_shown == min(5, len(audit.suspects))
    assert {"gender", "age"} <= set(report.constant)
    assert [row.head for row in report.heads] == ["mask", "gender", "age", "joint"]
    assert out.page.read_text().startswith("<!doctype html>")
    rows = [row for _, row in read_corrections(out.suspects)]
    assert len({(row.path, row.field, row.from_) for row in rows}) == len(rows)


def test_every_suspect_is_a_correction_that_fits_the_data(
    folded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multitask.evaluation.suspects.SURE", 0.0)
    out = AuditFolder(tmp_path / "audit")
    audit = audit_run(folded, out)
    assert audit.suspects
    (_, config), predictions = read_folds(folded)
    section = {"files": [str(out.suspects)], "tier": "weak"}
    data = DataModule(validate(Config, override(Config, config.model_dump(mode="json"), {"data.corrections": section})))
    changed = dict(zip(data.samples.images, data.samples.labels, strict=True))
    for suspect in audit.suspects:
        if suspect.head == "gender":
            assert all(changed[image][1] == predictions.space.tasks[1].classes.index(suspect.suggested)
                       for image in suspect.images)  # fmt: skip


def test_corrections_move_nobody_and_the_folds_stay(folded: Path, tmp_path: Path) -> None:
    (_, config), _ = read_folds(folded)
    plain = config.model_dump(mode="json")
    file = flip(folded, tmp_path / "flip.yaml")
    rows = json.loads(json.dumps([{"path": somebody(folded, 3)[0], "field": "drop", "reason": "?", "source": "test",
                                   "tier": "strong"}]))  # fmt: skip
    dropping = tmp_path / "drop.yaml"
    dropping.write_text(dump_yaml({"corrections": rows}))
    for way in ({"data.val_fraction": 0.3}, {"data.folds": 3, "data.fold": 1}):
        before = DataModule(validate(Config, override(Config, plain, way)))
        files = {"data.corrections": {"files": [str(file), str(dropping)]}}
        after = DataModule(validate(Config, override(Config, plain, {**way, **files})))
        assert len(after.samples) == len(before.samples) - 7
        sides = dict(zip(before.samples.images[before.split.val], ["val"] * len(before.split.val), strict=True))
        for side, rows_ in (("val", after.split.val), ("train", after.split.train)):
            assert all(sides.get(image, "train") == side for image in after.samples.images[rows_])
        assert after.dataset.corrected.sum() == 7
        assert not before.dataset.corrected.any()


def test_applied_corrections_train_again_on_the_same_folds_and_are_scored_both_ways(
    folded: Path, tmp_path: Path
) -> None:
    out = AuditFolder(tmp_path / "audit")
    file = flip(folded, tmp_path / "flip.yaml")
    report = apply_corrections(folded, out, file)
    assert report == read_record(out.report, CorrectionsReport)
    assert to_json_data(report) == json.loads((out.applied / "report.json").read_text())
    assert report.num_changed == {"mask": 0, "gender": 7, "age": 0, "drop": 0}
    (_, old_config), _before = read_folds(folded)
    (folder, config), _after = read_folds(out.applied / "run")
    assert config.data.corrections is not None
    assert [path.rpartition("/")[2] for path in map(str, config.data.corrections.files)] == ["corrections.yaml"]
    assert config.model_copy(update={"data": old_config.data}) == old_config
    assert (folded / "split.csv").read_bytes() == (out.applied / "run" / "split.csv").read_bytes()
    for part in (report.corrected, report.given):
        assert (part.num_images, part.num_groups) == (84, 12)
        metrics = {row.metric: row for row in part.differences}
        for metric, pair in part.scores.items():
            assert pair.after.value is not None
            assert pair.before.value is not None
            assert metrics[metric].value == pytest.approx(pair.after.value - pair.before.value, abs=1e-9)
            assert metrics[metric].low <= metrics[metric].high
    assert report.given.scores["joint.macro_f1"].before.value == pytest.approx(
        json.loads((folded / "report.json").read_text())["joint"]["macro_f1"]
    )
    assert report.corrected.scores["joint.macro_f1"].after.value == pytest.approx(folder.read_report().joint.macro_f1)
    # The next turn of the loop does not ask again what was answered.
    group = somebody(folded)[0]
    found = audit_run(out.applied / "run", AuditFolder(tmp_path / "second"), most=1)
    assert group not in {suspect.group for suspect in found.suspects if suspect.head == "gender"}
    # The same line again only reports; other corrections have no place here.
    kept = {path: path.stat().st_mtime_ns for path in out.applied.rglob("*.safetensors")}
    assert apply_corrections(folded, out, file) == report
    assert kept == {path: path.stat().st_mtime_ns for path in out.applied.rglob("*.safetensors")}
    other = flip(folded, tmp_path / "other.yaml", 1)
    with pytest.raises(UserError, match="holds what came of other corrections"):
        apply_corrections(folded, out, other)


class StoppedError(Exception):
    """Stands for a kill."""


class _Stops(Progress):
    def __init__(self, fold: int) -> None:
        self._fold = fold

    def fold(self, index: int, num_folds: int, done: bool) -> None:
        if index == self._fold:
            raise StoppedError


def test_an_interrupted_application_goes_on(folded: Path, tmp_path: Path) -> None:
    file = flip(folded, tmp_path / "flip.yaml")
    out, whole = AuditFolder(tmp_path / "audit"), AuditFolder(tmp_path / "whole")
    with pytest.raises(StoppedError):
        apply_corrections(folded, out, file, progress=_Stops(1))
    first = out.applied / "run" / "folds" / "0" / "report.json"
    made = first.stat().st_mtime_ns
    report = apply_corrections(folded, out, file)
    assert first.stat().st_mtime_ns == made
    assert report == apply_corrections(folded, whole, file)


def test_nothing_changes_where_both_are_the_same(folded: Path) -> None:
    _, predictions = read_folds(folded)
    corrected, given = before_and_after(predictions, predictions.take(np.arange(len(predictions))[::-1]), 0)
    assert given == corrected
    assert all(row.value == row.low == row.high == 0 for row in given.differences)


def test_a_run_that_is_not_in_folds_is_refused(tiny: MakeConfig, tmp_path: Path) -> None:
    run(tiny(QUICK), tmp_path / "run")
    with pytest.raises(UserError, match=r"^.*/run: an audit needs answers .* --folds 5 --out DIR`$"):
        audit_run(tmp_path / "run", AuditFolder(tmp_path / "audit"))
    assert not (tmp_path / "audit").exists()


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([], "holds no corrections; there is nothing to apply"),
        ([{"tier": "contested"}], "holds only contested corrections; there is nothing to apply"),
        ([{"field": "gendr"}], "field 'gendr' is no task; did you mean 'gender'?"),
        ([{"path": "nobody"}], "the data has no path 'nobody'"),
    ],
)
def test_corrections_that_cannot_be_are_refused_and_leave_nothing(
    rows: list[dict[str, Any]], line: str, folded: Path, tmp_path: Path
) -> None:
    group, old, new = somebody(folded)
    whole = {"path": group, "field": "gender", "from": old, "to": new, "reason": "?", "source": "t", "tier": "strong"}
    file = tmp_path / "bad.yaml"
    file.write_text(dump_yaml({"corrections": [{**whole, **row} for row in rows]}), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        apply_corrections(folded, AuditFolder(tmp_path / "audit"), file)
    assert line in str(caught.value)
    assert not (tmp_path / "audit").exists()


def test_labels_that_changed_since_are_refused(folded: Path, drawn: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(drawn, tmp_path / "data"))
    table = root / "train" / "train.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(UserError, match="is not the data that the run in"):
        audit_run(folded, AuditFolder(tmp_path / "audit"), data=root)
    with pytest.raises(UserError, match="no such folder"):
        audit_run(folded, AuditFolder(tmp_path / "audit"), data=tmp_path / "gone")
    assert not (tmp_path / "audit").exists()


def test_images_that_only_train_are_no_suspects(tiny: MakeConfig, drawn: Path, tmp_path: Path) -> None:
    part = {"root": str(drawn), "source": {"name": "synthetic"}}
    sources = {"mine": part, "ages": {**part, "tasks": ["age"]}}
    source = {"name": "several", "target": "mine", "sources": sources}
    run_folds(tiny({**QUICK, "data.root": "", "data.source": source}), 2, tmp_path / "run")
    audit = audit_run(tmp_path / "run", AuditFolder(tmp_path / "audit"))
    assert {image.partition("/")[0] for suspect in audit.suspects for image in suspect.images} == {"mine"}
