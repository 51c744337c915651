from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from multitask.data.images import Pixels, Preprocessing
from multitask.evaluation.metrics import FloatArray
from multitask.inference.engine_report import EngineReport, evaluate_engine
from multitask.inference.engines import ENGINES, Engine, EngineSettings
from multitask.inference.engines.onnxruntime import OnnxRuntimeSettings
from multitask.inference.export.cache import cached_path
from multitask.inference.export.exported import read_exported
from multitask.inference.predictor import Predictor
from multitask.progress import Progress
from multitask.runs.config import read_run
from multitask.runs.folder import RunFolder
from multitask.testing import tiny_run
from multitask.utils.records import read_record
from tests.over_ranks import over_ranks


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run(tmp_path_factory.mktemp("engines"))


def test_an_equal_engine_costs_nothing_and_replaces_nothing(
    trained_path: Path, exported_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = cached_path(read_exported(exported_path).spec.fingerprint, "fp32")
    kept.parent.mkdir(parents=True)
    kept.write_bytes(exported_path.read_bytes())
    before = {path.name: path.read_bytes() for path in trained_path.iterdir() if path.is_file()}
    report, name = evaluate_engine(read_run(trained_path), "val", OnnxRuntimeSettings(), Progress())
    assert {key: (trained_path / key).read_bytes() for key in before} == before
    assert name == "val-onnxruntime-fp32"
    path = trained_path / "report-val-onnxruntime-fp32.json"
    assert read_record(path, EngineReport) == report
    path.unlink()
    assert (report.agreement, report.precision, report.engine) == (1, "fp32", "onnxruntime")
    assert max(report.log_probs.values()) < 1e-4
    assert [row.metric for row in report.scores] == [
        "joint.macro_f1", "joint.accuracy", "tasks.mask.macro_f1", "tasks.gender.macro_f1", "tasks.age.macro_f1"
    ]  # fmt: skip
    assert all((row.difference, row.difference_ci) == (0, (0, 0)) and row.run == row.engine for row in report.scores)
    own = RunFolder(trained_path).read_report()
    assert report.scores[2].run == own.tasks["mask"].macro_f1
    assert (report.num_images, report.num_groups) == (own.num_images, own.num_groups)


class Stubborn(Engine):
    """Says the last label of every head."""

    def __init__(self, path: Path) -> None:
        self.spec = Predictor.load(path, engine="torch").spec

    def log_probs(self, images: Pixels) -> dict[str, FloatArray]:
        found = {}
        for task in self.spec.learned.tasks:
            probs = np.full((len(images), task.num_classes), 0.01)
            probs[:, -1] = 1 - 0.01 * (task.num_classes - 1)
            found[task.name] = np.log(probs)
        return found


class StubbornSettings(EngineSettings):
    name: Literal["stubborn"] = "stubborn"

    def open(self, path: Path, device: str | None, allow_extensions: bool) -> Engine:
        return Stubborn(path)


def test_a_bad_engine_is_seen_head_by_head(run: Path) -> None:
    report, _ = evaluate_engine(read_run(run), "train", StubbornSettings(), Progress())
    assert report.agreement < 1
    assert min(report.log_probs.values()) > 0.1
    for row in report.scores:
        assert row.run is not None
        assert row.engine is not None
        assert row.difference == pytest.approx(row.engine - row.run)
        assert row.difference_ci[0] <= row.difference <= row.difference_ci[1]
    gender = report.scores[3]
    assert gender.engine == pytest.approx(1 / 3, abs=0.05)  # of two labels one is always given


@pytest.mark.parametrize("settings", [StubbornSettings(), ENGINES["torch"].model_validate({})])
def test_over_several_processes_an_engine_is_compared_as_in_one(
    run: Path, settings: EngineSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = run / f"report-val-{settings.name}-fp32.json"
    read, load = [], Preprocessing.load

    def note(self: Preprocessing, image: Path, *box: Any) -> Pixels:
        read.append(image)
        return load(self, image, *box)

    def work(rank: int) -> tuple[tuple[EngineReport, str], int]:
        report, name = evaluate_engine(read_run(run), "val", settings, Progress())
        return (replace(report, created=""), name), len(read)

    monkeypatch.setattr(Preprocessing, "load", note)
    alone, num = work(0)
    written = read_record(path, EngineReport)
    path.unlink()
    found = over_ranks(2, work)
    assert [told for told, _ in found] == [alone] * 2
    assert replace(read_record(path, EngineReport), created=written.created) == written
    own = [count - num for _, count in found]  # the fork begins with what one process read
    assert min(own) > 0
    assert sum(own) == num == alone[0].num_images
