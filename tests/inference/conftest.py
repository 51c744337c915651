from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multitask.data.crop import WholeSettings
from multitask.data.images import Pixels
from multitask.evaluation.decode import FITTED_RULES, MeanPooling
from multitask.evaluation.metrics import FloatArray
from multitask.evaluation.predictions import Predictions
from multitask.inference.engines import Engine
from multitask.inference.export.export import export
from multitask.inference.predictor import Predictor
from multitask.inference.spec import GroupingSpec, InferenceSpec, TaskSpec
from multitask.runs.config import load_run_config, read_run
from multitask.runs.folder import RunFolder
from multitask.testing import tiny_run


@pytest.fixture(scope="session")
def trained_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny run; not to be written to. Its set is beside it, in ``set``."""
    return tiny_run(tmp_path_factory.mktemp("inference"))


@pytest.fixture(scope="session")
def exported_path(trained_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run as an ONNX file; not to be written to."""
    path = tmp_path_factory.mktemp("exported") / "run.onnx"
    export(read_run(trained_path), path)
    return path


@pytest.fixture(scope="session")
def predictor(trained_path: Path) -> Predictor:
    """Of the tiny run."""
    return Predictor.load(trained_path)


@pytest.fixture(scope="session")
def validated(trained_path: Path) -> Predictions:
    """The predictions that the tiny run left of the groups that validate."""
    folder = RunFolder(trained_path)
    config = load_run_config(folder)
    return Predictions.from_csv(folder.predictions("val"), config.space(), config.learned_space())


TASKS = (TaskSpec(name="colour", classes=("red", "blue")), TaskSpec(name="size", classes=("small", "medium", "large")))


class ShadeEngine(Engine):
    """Answers by an image's shade of grey: of the classes 0 to 5, ``shade // 40``, and is nine times in ten sure."""

    def __init__(self, spec: InferenceSpec) -> None:
        self.spec = spec

    def log_probs(self, images: Pixels) -> dict[str, FloatArray]:
        index = images[:, 0, 0, 0].astype(np.int64) // 40
        found = {}
        for name, label, num in (("colour", index // 3, 2), ("size", index % 3, 3)):
            probs = np.full((len(images), num), 0.1 / (num - 1))
            probs[np.arange(len(images)), label] = 0.9
            found[name] = np.log(probs)
        return found


@pytest.fixture
def shade_spec() -> InferenceSpec:
    """The specification of ``ShadeEngine``."""
    return InferenceSpec(
        run="shades",
        fingerprint="0",
        versions={},
        tasks=TASKS,
        impossible=(),
        heads=TASKS,
        joint_term=False,
        image_size=(8, 8),
        crop=WholeSettings(),
        fit="crop",
        background=(255, 255, 255),
        value_range=None,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        rule=FITTED_RULES["joint"](),
        temperatures={},
        shifts={},
        batch_size=4,
        grouping=GroupingSpec(
            tasks=("size",), pooling=MeanPooling(), rule=FITTED_RULES["joint"](), temperatures={}, shifts={}
        ),
    )


@pytest.fixture
def shades(shade_spec: InferenceSpec) -> Predictor:
    """A predictor without a network, whose answers are known: class ``shade // 40``."""
    return Predictor(ShadeEngine(shade_spec))


@pytest.fixture
def add_images(tmp_path: Path) -> Callable[..., Path]:
    """Writes grey images: ``add_images("photos/a.png", "photos/sub/b.png")``, of shades 0, 40, 80, ... in turn."""

    def make(*names: str) -> Path:
        for number, name in enumerate(names):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (12, 12), (40 * (number % 6),) * 3).save(path)
        return tmp_path

    return make


@pytest.fixture
def missing_module(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes modules look as if they were not installed."""
    real = importlib.util.find_spec

    def make(*names: str) -> None:
        def find(module: str, package: str | None = None) -> ModuleSpec | None:
            return None if module in names else real(module, package)

        monkeypatch.setattr(importlib.util, "find_spec", find)

    return make
