"""Alignment: eyes of any image come to the same places, and what is known of an image is mapped along with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from multitask.data.align import AlignSettings, bounds, inverse
from multitask.data.face_detector import FaceDetector
from multitask.data.framing import measure
from multitask.data.image_facts import CropCounts
from multitask.data.images import Pixels, Preprocessing
from multitask.data.sources import TableSettings
from multitask.errors import UserError
from multitask.labels import LabelSpace, Task
from multitask.reporting.text import crop_text
from multitask.settings import problems
from tests.conftest import SHARED, needs_shared
from tests.data.test_crop import NOTHING

SIZE = (128, 96)


def face(folder: Path, eyes: list[float], size: tuple[int, int] = (300, 200), name: str = "face") -> Path:
    """A grey image with a red dot at the right eye and a blue one at the left."""
    pixels = np.full((*size, 3), 128, dtype=np.uint8)
    right, left = np.array(eyes).reshape(2, 2)
    radius = max(2, round(np.hypot(*(left - right)) / 10))
    for place, colour in ((right, (255, 0, 0)), (left, (0, 0, 255))):
        cv2.circle(pixels, tuple(round(float(value) - 0.5) for value in place), radius, colour, -1)
    path = folder / f"{name}.png"
    Image.fromarray(pixels).save(path)
    return path


def middle_of(pixels: Pixels, channel: int) -> tuple[float, float]:
    """X and y of the middle of what has that colour, in pixels counted from their edges."""
    others = [other for other in range(3) if other != channel]
    weight = np.clip(pixels[..., channel].astype(float) - pixels[..., others].max(axis=2), 0, None)
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]] + 0.5
    return float((weight * x).sum() / weight.sum()), float((weight * y).sum() / weight.sum())


@pytest.mark.parametrize(
    ("eyes", "size"),
    [
        ([70.5, 100.5, 130.5, 100.5], (300, 200)),
        ([90.5, 140.5, 130.5, 100.5], (300, 200)),  # turned by 45 degrees
        ([110.5, 150.5, 90.5, 150.5], (300, 200)),  # upside down
        ([700.5, 500.5, 1000.5, 620.5], (1200, 1600)),  # made smaller
        ([20.5, 30.5, 40.5, 33.5], (60, 64)),  # made larger
        ([14.5, 40.5, 50.5, 43.5], (110, 64)),  # with less around it than is seen
    ],
)
def test_both_eyes_come_to_their_places(tmp_path: Path, eyes: list[float], size: tuple[int, int]) -> None:
    settings = AlignSettings(eye_distance=0.5, eye_height=0.25)
    pixels = Preprocessing(SIZE, settings).load(face(tmp_path, eyes, size), np.array(eyes))
    assert pixels.shape == (*SIZE, 3)
    assert middle_of(pixels, 0) == pytest.approx((24, 32), abs=0.7)
    assert middle_of(pixels, 2) == pytest.approx((72, 32), abs=0.7)


def test_two_framings_of_a_face_are_seen_alike(tmp_path: Path) -> None:
    tight = face(tmp_path, [40.5, 40.5, 80.5, 40.5], (120, 120), "tight")
    far = face(tmp_path, [140.5, 160.5, 180.5, 160.5], (400, 300), "far")
    preprocessing = Preprocessing(SIZE, AlignSettings())
    seen = [
        preprocessing.load(tight, np.array([40.5, 40.5, 80.5, 40.5])),
        preprocessing.load(far, np.array([140.5, 160.5, 180.5, 160.5])),
    ]
    np.testing.assert_allclose(seen[0], seen[1].astype(float), atol=2)


def test_an_image_without_known_eyes_is_cropped_as_the_fallback_says(tmp_path: Path) -> None:
    path = face(tmp_path, [70, 100, 130, 100])
    settings = AlignSettings.model_validate({"name": "align", "fallback": {"name": "centre", "top": 0.5}})
    expected = Preprocessing(SIZE, settings.fallback).load(path)
    for unknown in (None, NOTHING, np.array([50.0, 50, 50.5, 50])):
        np.testing.assert_array_equal(Preprocessing(SIZE, settings).load(path, unknown), expected)


@pytest.mark.parametrize("eyes", [[350.5, 100, 450, 100], [0.3, 0.4, 0.6, 0.4], [-9, 20, -5, 20]])
def test_eyes_of_another_scale_than_the_image_are_refused(tmp_path: Path, eyes: list[float]) -> None:
    path = face(tmp_path, [70, 100, 130, 100])
    line = rf"face\.png: its eyes {eyes[0]:g}, {eyes[1]:g} and .* are no part of its 200 x 300 pixels$"
    for read in (Preprocessing(SIZE, AlignSettings()).load, Preprocessing(SIZE, AlignSettings()).place):
        with pytest.raises(UserError, match=line):
            read(path, np.array(eyes))
    # One eye may be beside it, as that of a face at the edge.
    assert Preprocessing(SIZE, AlignSettings()).load(path, np.array([180.0, 100, 220, 100])).shape == (*SIZE, 3)


def test_a_box_is_mapped_with_its_image(tmp_path: Path) -> None:
    eyes = np.array([90.5, 140.5, 130.5, 100.5])
    placement = Preprocessing(SIZE, AlignSettings(eye_distance=0.5, eye_height=0.25)).place(
        face(tmp_path, eyes.tolist()), eyes
    )
    assert placement.to_input(np.array([90.5, 140.5, 90.5, 140.5])) == pytest.approx([24, 32, 24, 32])
    turned = placement.to_input(np.array([90.5, 100.5, 130.5, 140.5]))
    assert turned == pytest.approx(
        [24, 8, 72, 56], abs=1e-6
    )  # the square on the eyes' line, which stands on its corner


def test_the_part_that_is_seen_is_the_box_of_the_turned_input() -> None:
    settings = AlignSettings(eye_distance=0.5, eye_height=0.25)
    eyes = np.array([500.0, 500, 600, 500])
    left, top, right, bottom = settings.region(1000, 1000, 0.75, eyes)
    # 100 px are half the width, so 200 px are seen across, and 266 from a quarter above the eyes.
    assert (left, right) == pytest.approx((0.45, 0.65), abs=1e-3)
    assert (top, bottom) == pytest.approx((0.5 - 0.0667, 0.5 + 0.2), abs=1e-3)
    matrix = settings.matrix(SIZE, eyes)
    assert matrix is not None
    low, high = bounds(matrix, SIZE)
    assert (low, high) == (pytest.approx([450, 433.33], abs=0.01), pytest.approx([650, 700], abs=0.01))
    both = np.vstack([matrix, [0, 0, 1]]) @ np.vstack([inverse(matrix), [0, 0, 1]])
    np.testing.assert_allclose(both, np.eye(3), atol=1e-9)


def test_no_part_of_an_aligned_image_counts_as_cut(tmp_path: Path) -> None:
    eyes = [70.5, 100.5, 130.5, 130.5]
    path = face(tmp_path, eyes)
    fit = measure([path], ["x"], Preprocessing(SIZE, AlignSettings()), np.array([eyes])).fit
    assert fit is not None
    assert (fit.num_wide, fit.num_tall) == (0, 0)


def test_settings_of_a_detector_that_is_not_named_are_refused() -> None:
    assert problems(AlignSettings, {"name": "align", "min_score": 0.5}) == [
        "min_score: 0.5 would be ignored: no model is named that looks for faces"
    ]


class TestDetectedEyes:
    def found(self, monkeypatch: pytest.MonkeyPatch, points: list[float]) -> list[float]:
        class Net:
            def setInputSize(self, size: tuple[int, int]) -> None:
                pass

            def detect(self, pixels: Any) -> tuple[int, Any]:
                return 1, np.array([[10, 10, 40, 40, *points, 0.9]], dtype=np.float32)

        monkeypatch.setattr(FaceDetector, "_of_this_thread", lambda self: Net())
        detector = FaceDetector(b"", "largest", 0.2, 224, "digest", "eyes")
        values: list[float] = detector.find(np.zeros((60, 60, 3), dtype=np.uint8)).tolist()
        return values

    def test_are_those_of_a_face_from_the_front(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = self.found(monkeypatch, [20, 20, 40, 22, 30, 30, 22, 40, 38, 40])
        assert found == [20, 20, 40, 22]

    def test_are_put_apart_in_a_face_that_is_turned_aside(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = self.found(monkeypatch, [29, 20, 31, 20, 36, 30, 29, 40, 31, 40])
        assert found == pytest.approx([30 - 7, 20, 30 + 7, 20])

    def test_have_a_key_of_their_own(self) -> None:
        keys = {FaceDetector(b"", "largest", 0.2, 224, "digest", finds).key() for finds in ("boxes", "eyes")}
        assert len(keys) == 2

    @needs_shared
    def test_of_a_portrait_come_to_their_places(self) -> None:
        model = str(SHARED / "weights" / "yunet.onnx")
        image = next((SHARED / "data" / "mask18-mini" / "train" / "images").glob("*/normal.*"))
        settings = AlignSettings(model=model)
        preprocessing = Preprocessing(SIZE, settings)
        eyes = preprocessing.locate(image)
        assert 0 < eyes[0] < eyes[2] < 192
        assert abs(eyes[1] - eyes[3]) < eyes[2] - eyes[0]
        np.testing.assert_array_equal(preprocessing.load(image), preprocessing.load(image, eyes))
        matrix = settings.matrix(SIZE, eyes)
        assert matrix is not None
        places = np.column_stack([eyes.reshape(2, 2), np.ones(2)]) @ matrix.T
        np.testing.assert_allclose(places, [[24, 0.32 * 128], [72, 0.32 * 128]])


def test_reports_say_how_many_were_aligned() -> None:
    assert crop_text(CropCounts("align", 3, 0)) == "3 of 3 images aligned by the eyes."
    assert crop_text(CropCounts("align", 2, 1)).endswith(
        "1 without known eyes were cropped as data.crop.fallback says."
    )


class TestEyesOfATable:
    def table(self, folder: Path, rows: str) -> Any:
        face(folder, [70, 100, 130, 100], name="a")
        face(folder, [70, 100, 130, 100], name="b")
        (folder / "train.csv").write_text(f"path,kind,rx,ry,lx,ly\n{rows}")
        settings = TableSettings(eyes=("rx", "ry", "lx", "ly"))
        return settings.samples(folder, LabelSpace([Task("kind", ("x", "y"))]))

    def test_are_read(self, tmp_path: Path) -> None:
        samples = self.table(tmp_path, "a.png,x,70,100,130,100\nb.png,y,,,,\n")
        np.testing.assert_array_equal(samples.eyes, [[70, 100, 130, 100], [np.nan] * 4])
        np.testing.assert_array_equal(samples.take(np.array([1])).eyes, [[np.nan] * 4])

    @pytest.mark.parametrize("rows", ["a.png,x,70,100,130,\n", "a.png,x,70,100,70,100\n", "a.png,x,,,130,100\n"])
    def test_are_two_places_or_none(self, tmp_path: Path, rows: str) -> None:
        with pytest.raises(UserError, match=r"line 2: rx, ry, lx, ly: must be two places, or all empty, found"):
            self.table(tmp_path, rows)
