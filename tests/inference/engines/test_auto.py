from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from multitask.data.images import Pixels
from multitask.errors import UserError
from multitask.inference.engines import auto
from multitask.inference.engines.auto import largest_gap, open_fastest, race
from multitask.inference.engines.exported import ExportedEngine
from multitask.inference.engines.onnxruntime import OnnxRuntimeEngine
from multitask.inference.engines.openvino import OpenVinoEngine, OpenVinoSettings
from multitask.inference.engines.pytorch import TorchEngine
from multitask.inference.export.cache import cached_path
from multitask.inference.export.export import ExportResult
from multitask.inference.export.exported import read_exported
from multitask.inference.predictor import Predictor
from multitask.runs.config import TrainedRun


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "multitask" / "exports"


class Slowed(ExportedEngine):
    """Another engine's outputs, moved, after so many seconds as its clock says."""

    def __init__(self, engine: ExportedEngine, moved: float) -> None:
        super().__init__(engine.exported)
        self.engine, self.moved = engine, moved

    def shapes(self) -> tuple[tuple[int, ...], dict[str, tuple[int, ...]]]:
        return self.engine.shapes()

    def compute(self, images: Pixels) -> Mapping[str, NDArray[Any]]:
        found = self.engine.compute(images)
        return {name: values + self.moved * np.eye(len(values), values.shape[1]) for name, values in found.items()}


@pytest.mark.parametrize(
    ("moved", "opening_s", "winner"),
    [(0.0, 1.0, "second"), (0.1, 1.0, "first"), (0.0, 1e4, "first")],
    ids=["same outputs", "others", "slow to open"],
)
def test_the_fastest_wins_if_it_gives_the_same(
    moved: float, opening_s: float, winner: str, exported_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = read_exported(exported_path)
    one = OnnxRuntimeEngine(exported, 1)
    engines: dict[str, ExportedEngine] = {"first": one, "second": Slowed(one, moved)}
    monkeypatch.setattr(auto, "_seconds", lambda engine, pixels: 2.0 if engine is one else 1.0)
    assert race(engines, {"first": 1.0, "second": opening_s}, exported) == winner


def test_labels_that_cannot_occur_are_alike_in_all_engines_and_warn_of_nothing() -> None:
    one, other = np.array([[0.0, -np.inf]]), np.array([[-0.5, -np.inf]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert largest_gap({"joint": one}, {"joint": one}) == 0.0
        assert largest_gap({"joint": other}, {"joint": one}) == 0.5
        wrong = np.array([[0.0, -9.0]])
        assert largest_gap({"joint": wrong}, {"joint": one}) > 0.9
        assert largest_gap({"joint": one}, {"joint": wrong}) > 0.9


def test_a_file_that_differs_from_its_run_gives_engines_no_more_room(exported_path: Path) -> None:
    exported = read_exported(exported_path)
    difference = exported.record.difference.model_copy(update={"log_probs": 0.7})
    rounded = replace(exported, record=exported.record.model_copy(update={"difference": difference}))
    one = OnnxRuntimeEngine(rounded, 1)
    assert race({"first": one, "second": Slowed(one, 0.1)}, {"first": 1e4, "second": 0.0}, one.exported) == "first"


def test_a_race_is_run_once_for_a_file(exported_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raced: list[list[str]] = []

    def fake(engines: dict[str, ExportedEngine], opening_s: object, exported: object) -> str:
        raced.append([*engines])
        return "openvino"

    monkeypatch.setattr(auto, "race", fake)
    for _ in range(2):
        assert isinstance(open_fastest(exported_path, None, False), OpenVinoEngine)
    assert raced == [["onnxruntime", "openvino"]]
    for path in cache.iterdir():
        path.write_text("{")
    assert isinstance(open_fastest(exported_path, None, False), OpenVinoEngine)
    assert len(raced) == 2


def test_one_that_is_installed_is_taken(exported_path: Path, missing_module: Callable[..., None]) -> None:
    missing_module("openvino")
    assert isinstance(open_fastest(exported_path, None, False), OnnxRuntimeEngine)


def test_none_that_is_installed_is_one_line(exported_path: Path, missing_module: Callable[..., None]) -> None:
    missing_module("openvino", "onnxruntime")
    with pytest.raises(UserError, match=r"onnxruntime is not installed; `pip install 'multitask\[onnx\]'`"):
        open_fastest(exported_path, None, False)


def test_a_device_that_would_be_ignored_is_refused(exported_path: Path) -> None:
    with pytest.raises(UserError, match="device: exported files are computed on the CPU, found cuda"):
        open_fastest(exported_path, "cuda", False)


def test_a_run_is_computed_by_torch_until_its_export_is_kept(trained_path: Path, exported_path: Path) -> None:
    assert isinstance(open_fastest(trained_path, None, False), TorchEngine)
    kept = cached_path(read_exported(exported_path).spec.fingerprint, "fp32")
    kept.parent.mkdir(parents=True)
    kept.write_bytes(exported_path.read_bytes())
    assert isinstance(open_fastest(trained_path, None, False), ExportedEngine)
    kept.write_bytes(b"damaged")
    assert isinstance(open_fastest(trained_path, None, False), TorchEngine)


def test_an_engine_of_files_exports_a_run_once(
    trained_path: Path, exported_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[Path, str]] = []

    def fake(trained: TrainedRun, path: Path, precision: str) -> ExportResult:
        written.append((trained.folder.path, precision))
        path.write_bytes(exported_path.read_bytes())
        return ExportResult(read_exported(path), ())

    monkeypatch.setattr("multitask.inference.export.export.export", fake)
    one = Predictor.load(trained_path, engine="onnxruntime")
    (kept,) = cache.glob("*.onnx")
    pixels = np.zeros((2, *one.spec.image_size, 3), np.uint8)
    expected = Predictor.load(trained_path, engine="torch").predict(pixels)
    np.testing.assert_allclose(one.predict(pixels).class_probs, expected.class_probs, atol=1e-5)
    assert Predictor.load(trained_path, engine=OpenVinoSettings()).spec == one.spec
    assert written == [(trained_path, "fp32")]
    kept.write_bytes(b"damaged")
    assert Predictor.load(trained_path, engine="onnxruntime").spec == one.spec
    assert len(written) == 2


_LIGHT = """
import sys
from pathlib import Path
from multitask.inference.predictor import Predictor
from multitask.runs.config import TrainedRun
from multitask.cli import main
file, image, out, engine = sys.argv[1:]
Predictor.load(file, engine=engine).predict(image)
sys.argv = ["multitask", "predict", file, image, "-o", out, "--engine", engine, "-q"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print([name for name in ("torch", "timm", "pandas", "cv2", "onnx", "pyarrow", "matplotlib") if name in sys.modules])
"""


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_file_is_predicted_without_torch(
    engine: str, exported_path: Path, trained_path: Path, tmp_path: Path
) -> None:
    image = next((trained_path.parent / "set").rglob("*.jpg"))
    words = [str(exported_path), str(image), str(tmp_path / "a.csv"), engine]
    done = subprocess.run([sys.executable, "-c", _LIGHT, *words], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
    assert (tmp_path / "a.csv").is_file()
