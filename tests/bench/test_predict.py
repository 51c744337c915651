from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multitask.bench import predict
from multitask.bench.drawn_run import JPEG_SIZE, DrawnRun, enlarge
from multitask.errors import UserError
from multitask.inference.engines.onnxruntime import OnnxRuntimeSettings
from multitask.inference.engines.openvino import OpenVinoSettings
from multitask.progress import Progress

TINY = {
    "model.backbone": {"name": "test_resnet", "weights": "none"},
    "data.image_size": [32, 24],
    "training.batch_size": 16,
    "training.epochs": 1,
}
SCALE = predict.Scale(queries=1, batches=1, singles=1, rounds=2, jobs=1, starts=1, groups=12)


class _Noted(Progress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict._Speed, "_process_s", lambda self, path: 0.4 if path.is_file() else 4.0)


def test_there_is_a_row_for_each_engine_and_each_goal(no_processes: None) -> None:
    progress = _Noted()
    found = predict.measure_predict(progress, SCALE, TINY, TINY)
    names = [row.name for row in found]
    left_out = [one for one in predict.CONTENDERS if f"engine {one} to torch, one core" not in names]
    assert len(progress.notes) == len(left_out) < len(predict.CONTENDERS)
    no_bf16 = any(one.precision == "bf16" for one in left_out)
    assert len(found) == 2 * (len(predict.CONTENDERS) - len(left_out)) + 5 - no_bf16
    assert all(np.isfinite(row.ratio) and row.ratio > 0 for row in found)
    assert [row.bound for row in found if row.name == "engine onnxruntime fp32 to torch, one core"] == [2.4]
    (start,) = [row for row in found if row.name.startswith("a process")]
    assert (start.ratio, start.note) == (
        pytest.approx(10.0),
        "processor time 0.40 s, wanted at most 0.8 s; by the run 4.00 s",
    )
    assert [row.ratio for row in found if row.name == "macro-F1 of onnxruntime fp32 to torch"] == [1.0]


def test_an_engine_that_is_not_installed_is_a_note_that_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OpenVinoSettings, "modules", ("not_there",))
    progress = _Noted()
    one = next(one for one in predict.CONTENDERS if one.engine == "openvino")
    run = DrawnRun(None, {"fp32": tmp_path / "run.onnx"})  # type: ignore[arg-type]  # not looked at
    assert not predict._can_open(run, one, progress)
    (note,) = progress.notes
    assert "pip install 'multitask[openvino]'" in note


def test_without_an_exporter_torch_alone_is_measured(no_processes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OnnxRuntimeSettings, "modules", ("not_there",))
    progress = _Noted()
    found = predict.measure_predict(progress, SCALE, TINY)
    assert [row.name for row in found] == [
        "files to answers by torch, to a submission by torch",
        "one image's file by a Predictor, to the bare network, torch",
    ]
    (note,) = progress.notes
    assert "pip install 'multitask[onnx]'" in note


def test_images_are_enlarged_whatever_their_suffix(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png"):
        Image.new("RGB", (12, 16)).save(tmp_path / name)
    paths = enlarge(tmp_path)
    assert [path.name for path in paths] == ["a.jpg", "b.png"]
    for path in paths:
        with Image.open(path) as image:
            assert (image.format, image.size) == ("JPEG", JPEG_SIZE)


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    speed = predict._Speed(DrawnRun(None, {}), tmp_path, [tmp_path / "a.jpg"], [], SCALE)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"bench: multitask predict ended with exit code 2: .*no\.onnx"):
        speed._process_s(tmp_path / "no.onnx")
