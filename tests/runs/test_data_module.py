"""A run's images: the same run wherever they are kept, boxes found once, counted, and the same ever after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from multitask.config import Config
from multitask.data.crop import FaceSettings
from multitask.data.face_detector import FaceDetector
from multitask.data.image_facts import CropCounts
from multitask.data.images import Preprocessing
from multitask.data.samples import Samples
from multitask.data.sources.synthetic import SyntheticSettings
from multitask.errors import UserError
from multitask.progress import Progress
from multitask.runs.config import TrainedRun, read_run
from multitask.runs.cross_validation import run_folds
from multitask.runs.data_module import DataModule
from multitask.runs.evaluate import evaluate
from multitask.runs.page import write_page
from multitask.runs.predict import write_submission
from multitask.runs.run import run
from multitask.training.checkpoint import load_checkpoint
from multitask.utils.records import to_json_data

MakeConfig = Callable[..., Config]
ONE_EPOCH = {"training.epochs": 1, "training.schedule.warmup_epochs": 0}


class Said(Progress):
    """Remembers what it heard."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.stages: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def stage(self, name: str, total: int, unit: str) -> Callable[[int], None]:
        self.stages.append(name)
        return super().stage(name, total, unit)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for caches: nobody's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path / "xdg" / "multitask"


@pytest.fixture
def face(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A face crop whose detector knows no model: it takes the middle of bright images, and nothing of dark ones."""

    def find(self: FaceDetector, pixels: np.ndarray) -> np.ndarray:
        height, width = pixels.shape[:2]
        bright = pixels.mean() > 110
        return np.array([0.2 * width, 0.2 * height, 0.7 * width, 0.8 * height]) if bright else np.full(4, np.nan)

    monkeypatch.setattr(FaceDetector, "find", find)
    monkeypatch.setattr(FaceSettings, "detector", lambda self: FaceDetector(b"", self.choose, 0.2, 64, "digest"))
    return {"name": "face", "model": "/no/model.onnx"}


@pytest.fixture
def boxes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Has the drawn set's table hold boxes; every fourth image has none."""
    plain = SyntheticSettings.samples

    def give(left: float) -> None:
        def samples(self: SyntheticSettings, *args: Any) -> Samples:
            found = plain(self, *args)
            given = np.tile([left, 30.0, left + 60, 110.0], (len(found), 1))
            given[::4] = np.nan
            return replace(found, boxes=given)

        monkeypatch.setattr(SyntheticSettings, "samples", samples)

    return give


def assert_same_outcome(one: Path, other: Path) -> None:
    states = [load_checkpoint(folder / "checkpoints" / "last.safetensors")["network"] for folder in (one, other)]
    assert list(states[0]) == list(states[1])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert (one / "predictions-val.csv").read_bytes() == (other / "predictions-val.csv").read_bytes()


@pytest.mark.parametrize("crop", ["none", "face"])
def test_a_run_from_the_disk_is_that_from_files_to_the_bit(
    tiny: MakeConfig, tmp_path: Path, home: Path, face: dict[str, Any], crop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"data.crop": face if crop == "face" else "none"}
    for cache in ("none", "memory"):
        run(tiny({**changes, "data.cache": cache}), tmp_path / cache)
        assert not home.exists()
    assert_same_outcome(tmp_path / "memory", tmp_path / "none")
    config = tiny({**changes, "data.cache": "disk"})
    said = Said()
    run(config, tmp_path / "first", progress=said)
    assert [note.split()[0] for note in said.notes] == ["writing"] * (2 if crop == "face" else 1)
    monkeypatch.setattr(Preprocessing, "load", None)  # from here on nothing is decoded
    monkeypatch.setattr(Preprocessing, "locate", None)
    said = Said()
    run(config, tmp_path / "second", progress=said)
    assert said.notes == said.stages == []
    for name in ("first", "second"):
        assert_same_outcome(tmp_path / name, tmp_path / "none")
    before = (tmp_path / "second" / "report.json").read_bytes()
    evaluate(read_run(tmp_path / "second"), "val", Progress())  # the same images, not packed anew
    assert (tmp_path / "second" / "report.json").read_bytes() == before


def test_a_folder_can_be_named(tiny: MakeConfig, tmp_path: Path, home: Path) -> None:
    run(tiny({**ONE_EPOCH, "data.cache": "disk", "data.cache_dir": str(tmp_path / "mine")}))
    assert len(list((tmp_path / "mine").glob("pixels-*.npy"))) == 1
    assert not home.exists()


def test_auto_keeps_boxes_for_other_runs_and_memory_and_none_keep_nothing(
    tiny: MakeConfig, home: Path, face: dict[str, Any]
) -> None:
    for cache in ("memory", "none"):
        DataModule(tiny({"data.crop": face, "data.cache": cache})).store.boxes(Progress())
        assert not home.exists()
    for stages in (["finding faces"], []):
        said = Said()
        DataModule(tiny({"data.crop": face})).store.boxes(said)
        assert said.stages == stages
        assert [path.name.partition("-")[0] for path in home.glob("*.npy")] == ["boxes"]


def test_who_has_a_face_is_counted_wherever_it_is_reported(
    tiny: MakeConfig, tmp_path: Path, face: dict[str, Any]
) -> None:
    result = run(tiny({**ONE_EPOCH, "data.crop": face}), tmp_path / "run")
    data = DataModule(tiny({"data.crop": face}))
    counts = result.folder.read_data().crop
    found = [np.isfinite(data.preprocessing.locate(path)).all() for path in data.samples.paths()]
    assert counts == CropCounts("face", found=sum(found), fallback=len(found) - sum(found))
    assert min(counts.found, counts.fallback) > 0
    assert result.report is not None
    of_val = result.report.crop
    assert of_val.found == sum(np.array(found)[data.split.val])
    assert of_val.found + of_val.fallback == result.report.num_images
    trained = read_run(tmp_path / "run")
    sentence = f"{of_val.found} of {result.report.num_images} images were cropped to a face"
    assert sentence in write_page(trained, "val").read_text()
    assert evaluate(trained, "val", Progress()).crop == of_val
    of_eval = evaluate(trained, "eval", Progress()).crop
    assert of_eval.found + of_eval.fallback == 21


def test_who_has_a_face_is_counted_over_all_folds(tiny: MakeConfig, tmp_path: Path, face: dict[str, Any]) -> None:
    config = tiny({**ONE_EPOCH, "data.crop": face, "data.val_fraction": 0.2})
    result = run_folds(config, 2, tmp_path / "run")
    folder, report = result.folder, result.report
    assert report is not None
    counts = folder.fold(1).read_data().crop
    assert min(counts.found, counts.fallback) > 0
    assert folder.read_data().crop == report.crop == counts
    assert counts.found + counts.fallback == report.num_images
    assert f"{counts.found} of {report.num_images} images" in write_page(TrainedRun(folder, config), "val").read_text()
    assert evaluate(TrainedRun(folder, config), "val", Progress()).crop == counts
    of_eval = evaluate(TrainedRun(folder, config), "eval", Progress()).crop
    assert of_eval.found + of_eval.fallback == 21


def test_a_crop_that_is_alike_for_all_is_not_counted(tiny: MakeConfig, tmp_path: Path) -> None:
    result = run(tiny({**ONE_EPOCH, "data.crop": {"name": "centre", "top": 0.1}}), tmp_path / "run")
    assert result.report is not None
    assert result.report.crop is None
    assert result.folder.read_data().crop is None


class TestBoxesOfTheTable:
    CROP = {**ONE_EPOCH, "data.crop": {"name": "box", "margin": 0.1}}

    def test_each_image_is_cropped_to_its_own(self, tiny: MakeConfig, boxes: Callable[[float], None]) -> None:
        boxes(20.0)
        data = DataModule(tiny(self.CROP))
        images = data.store.images(Progress())
        for index in (0, 1):
            expected = data.preprocessing.load(data.samples.paths()[index], data.samples.boxes[index])  # type: ignore[index]
            np.testing.assert_array_equal(images[index], expected)
            np.testing.assert_array_equal(data.store.image(index, Progress()), expected)
        assert data.image_facts("all", Progress()).crop == CropCounts("box", found=63, fallback=21)
        assert set(to_json_data(data.image_facts("val", Progress()))) == {"crop", "fit"}

    def test_they_are_a_part_of_the_data(
        self, tiny: MakeConfig, tmp_path: Path, boxes: Callable[[float], None]
    ) -> None:
        boxes(20.0)
        run(tiny(self.CROP), tmp_path / "run")
        write_page(read_run(tmp_path / "run"), "val")
        boxes(25.0)
        with pytest.raises(UserError, match="is not the data that the run in"):
            run(tiny(self.CROP), tmp_path / "run", resume=True)

    def test_a_table_without_is_refused(self, tiny: MakeConfig, tmp_path: Path, boxes: Callable[[float], None]) -> None:
        with pytest.raises(UserError, match=r"^data\.crop\.name: is box, but the images in \S+ have no boxes$"):
            run(tiny(self.CROP), tmp_path / "run")
        assert not (tmp_path / "run").exists()
        boxes(20.0)
        folder = run(tiny(self.CROP), tmp_path / "run").folder
        config = tiny(self.CROP)
        with pytest.raises(UserError, match="have no boxes"):
            write_submission(TrainedRun(folder, config), Path(config.data.root), tmp_path / "answers.csv", Progress())
        assert not (tmp_path / "answers.csv").exists()
