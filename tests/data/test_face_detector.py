"""Faces: found masked or not, the one that is wanted, in the image's own pixels; and a model that is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from multitask.data.colours import Decoding
from multitask.data.crop import FaceSettings
from multitask.data.face_detector import FaceDetector
from multitask.data.image_cache import SharedPixels, find_boxes
from multitask.data.images import Preprocessing, boxes_key, pixels_key
from multitask.errors import UserError
from multitask.utils.files import content_digest
from tests.conftest import SHARED, needs_shared

MODEL = SHARED / "weights" / "yunet.onnx"
SIZE = (48, 36)
BLANK = np.zeros((100, 80, 3), dtype=np.uint8)


def points(place: int) -> list[float]:
    """X and y of the five points of the face in that place."""
    return [10.0 * place + number for number in range(10)]


class FakeNet:
    """In OpenCV's place: gives rows of (left, top, width, height, score), each with points of its own."""

    def __init__(self, *rows: tuple[float, float, float, float, float]) -> None:
        self.rows = rows

    def setInputSize(self, size: tuple[int, int]) -> None:
        pass

    def detect(self, pixels: Any) -> tuple[int, Any]:
        rows = [[*row[:4], *points(place), row[4]] for place, row in enumerate(self.rows)]
        return 1, np.array(rows, dtype=np.float32) if rows else None


def detector(monkeypatch: pytest.MonkeyPatch, choose: Any, *rows: Any) -> FaceDetector:
    monkeypatch.setattr(FaceDetector, "_of_this_thread", lambda self: FakeNet(*rows))
    return FaceDetector(b"", choose, 0.2, 224, "digest")


class TestChoice:
    def test_largest_or_most_central(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [(0, 0, 40, 40, 0.9), (35, 45, 10, 10, 0.8), (60, 60, 20, 30, 0.7)]
        assert detector(monkeypatch, "largest", *rows).find(BLANK).tolist() == [0, 0, 40, 40]
        assert detector(monkeypatch, "central", *rows).find(BLANK).tolist() == [35, 45, 45, 55]

    def test_what_is_much_less_sure_does_not_count(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [(0, 0, 40, 40, 0.44), (35, 45, 10, 10, 0.9)]
        assert detector(monkeypatch, "largest", *rows).find(BLANK).tolist() == [35, 45, 45, 55]

    def test_only_what_is_in_the_image_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [(-50, 0, 60, 30, 0.9), (20, 20, 20, 20, 0.9)]
        assert detector(monkeypatch, "largest", *rows).find(BLANK).tolist() == [20, 20, 40, 40]
        assert detector(monkeypatch, "largest", (-20, -30, 60, 60, 0.9)).find(BLANK).tolist() == [0, 0, 40, 30]

    @pytest.mark.parametrize("rows", [[], [(-50, 0, 40, 30, 0.9)]])
    @pytest.mark.parametrize("choose", ["largest", "central"])
    def test_no_face_is_nan(self, monkeypatch: pytest.MonkeyPatch, choose: str, rows: Any) -> None:
        assert np.isnan(detector(monkeypatch, choose, *rows).find(BLANK)).all()


class TestLandmarks:
    def test_those_of_the_face_that_is_chosen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [(60, 60, 20, 30, 0.7), (0, 0, 40, 40, 0.9), (35, 45, 10, 10, 0.8)]
        for choose, place in (("largest", 1), ("central", 2)):
            found = detector(monkeypatch, choose, *rows).landmarks(BLANK)
            assert found.shape == (5, 2)
            assert found.ravel().tolist() == points(place)
        assert np.isnan(detector(monkeypatch, "largest").landmarks(BLANK)).all()


class TestModel:
    @pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x07" * 400])
    def test_a_file_that_is_not_yunet_is_named_in_one_line(
        self, tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "x.onnx"
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"^data\.crop\.model: \S+x\.onnx: is not YuNet, the face detector"):
            Preprocessing(SIZE, FaceSettings(model=str(path)))
        assert capfd.readouterr().err == ""  # OpenCV, too, would say a lot

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        found = {tmp_path / "x.onnx": "cannot be read: No such file or directory"}
        for path, reason in {**found, tmp_path: "must be a file, found a folder"}.items():
            with pytest.raises(UserError, match=f"^data.crop.model: {path}: {reason}$"):
                Preprocessing(SIZE, FaceSettings(model=str(path)))

    @needs_shared
    def test_a_model_that_was_cut_is_not_yunet(self, tmp_path: Path) -> None:
        path = tmp_path / "x.onnx"
        path.write_bytes(MODEL.read_bytes()[:-1000])
        with pytest.raises(UserError, match="is not YuNet"):
            Preprocessing(SIZE, FaceSettings(model=str(path)))


@needs_shared
class TestRealFaces:
    @pytest.fixture(scope="class")
    def paths(self) -> list[Path]:
        folders = sorted((SHARED / "data" / "mask18-mini" / "train" / "images").glob("[0-9]*"))[:30:3]
        return [path for folder in folders for path in sorted(folder.iterdir()) if not path.name.startswith(".")]

    @pytest.fixture(scope="class")
    def preprocessing(self) -> Preprocessing:
        return Preprocessing(SIZE, FaceSettings(model=str(MODEL)))

    def test_faces_are_found_masked_or_not(self, paths: list[Path], preprocessing: Preprocessing) -> None:
        boxes = find_boxes(paths, preprocessing)
        assert np.isfinite(boxes).all(axis=1).mean() > 0.95
        # These are portraits: the face is a good part of the image, and near its middle.
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / (192 * 256)
        assert 0.08 < np.nanmedian(areas) < 0.6
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2 / [192, 256]
        assert (abs(np.nanmedian(middles, axis=0) - 0.5) < 0.15).all()

    def test_a_face_is_found_where_it_is_moved_to(
        self, paths: list[Path], preprocessing: Preprocessing, tmp_path: Path
    ) -> None:
        canvas = Image.new("RGB", (420, 420))
        with Image.open(paths[0]) as image:
            canvas.paste(image.convert("RGB"), (200, 150))
        canvas.save(tmp_path / "moved.png")
        moved = preprocessing.locate(tmp_path / "moved.png") - preprocessing.locate(paths[0])
        assert moved == pytest.approx([200, 150, 200, 150], abs=14)

    def test_an_image_alone_is_cropped_as_among_others(self, paths: list[Path], preprocessing: Preprocessing) -> None:
        boxes = find_boxes(paths[:6], preprocessing)
        for path, box in zip(paths[:6], boxes, strict=True):
            np.testing.assert_array_equal(preprocessing.load(path), preprocessing.load(path, box))

    def test_without_a_face_it_is_the_fallback(self, preprocessing: Preprocessing, tmp_path: Path) -> None:
        for size in ((60, 80), (1, 300), (300, 1)):
            Image.new("RGB", size, (10, 200, 30)).save(tmp_path / "x.png")
            assert np.isnan(preprocessing.locate(tmp_path / "x.png")).all()
            found = preprocessing.load(tmp_path / "x.png")
            np.testing.assert_array_equal(found, Preprocessing(SIZE).load(tmp_path / "x.png"))

    def test_boxes_are_found_once(
        self, paths: list[Path], preprocessing: Preprocessing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shared = SharedPixels(tmp_path, [content_digest(path) for path in paths[:5]])
        first = find_boxes(paths[:5], preprocessing, None, shared)
        monkeypatch.setattr(Preprocessing, "locate", None)
        np.testing.assert_array_equal(find_boxes(paths[:5], preprocessing, None, shared), first)

    def test_keys_follow_the_models_content_and_the_settings(self, tmp_path: Path) -> None:
        copy = tmp_path / "copy.onnx"
        copy.write_bytes(MODEL.read_bytes())

        def keys(**changes: Any) -> tuple[str, str]:
            preprocessing = Preprocessing(SIZE, FaceSettings(**{"model": str(MODEL), **changes}))
            assert preprocessing.detector is not None
            return pixels_key([b"a"], preprocessing), boxes_key([b"a"], preprocessing.detector, Decoding())

        base = keys()
        assert keys(model=str(copy)) == base
        for changes in ({"choose": "central"}, {"min_score": 0.3}, {"detect_px": 160}):
            pixels, boxes = keys(**changes)
            assert pixels != base[0]
            assert boxes != base[1]
        for changes in ({"margin": 0.1}, {"fallback": {"left": 0.1}}):
            pixels, boxes = keys(**changes)
            assert pixels != base[0]
            assert boxes == base[1]  # how the crop is made of a box does not move the box
        one, other = (FaceDetector(b"", "largest", 0.2, 224, digest) for digest in ("one", "other"))
        assert boxes_key([b"a"], one, Decoding()) != boxes_key([b"a"], other, Decoding())
