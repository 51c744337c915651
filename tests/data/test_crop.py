"""Which part of an image is used: in it, of the right shape, around the box, and the fallback where there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from multitask.data import CROPS, CropSettings
from multitask.data.crop import BoxSettings, CentreSettings, around, crop_counts
from multitask.data.image_facts import CropCounts
from multitask.data.images import Preprocessing
from multitask.errors import UserError
from multitask.testing.crops import CROP_CHECKS

NOTHING = np.full(4, np.nan)
MADE: dict[str, dict[str, Any]] = {"face": {"model": "/no/model.onnx"}}
"""What a row cannot be made without."""
CHANGES: dict[str, list[dict[str, Any]]] = {
    "none": [{}],
    "centre": [{}, {"left": 0.1}, {"right": 0.9}, {"top": 0.1}, {"bottom": 0.9}],
    "box": [{}, {"margin": 0.1}, {"fallback": {"left": 0.1}}],
    "face": [{}, {"margin": 0.1}, {"fallback": {"left": 0.1}}],
    "align": [{}, {"eye_distance": 0.4}, {"eye_height": 0.4}, {"fallback": {"left": 0.1}}],
}


@pytest.mark.parametrize("name", CROPS)
class TestEveryCrop:
    def crop(self, name: str, **changes: Any) -> Any:
        return CROPS[name](**MADE.get(name, {}), **changes)

    @pytest.mark.parametrize("check", CROP_CHECKS, ids=lambda check: check.__name__)
    def test_keeps_the_contract(self, name: str, check: Callable[[CropSettings], None]) -> None:
        check(self.crop(name))

    def test_its_key_tells_its_settings_apart(self, name: str) -> None:
        assert name in CHANGES, f"CHANGES, above, must say which settings change what the crop {name!r} cuts"
        assert len({self.crop(name, **one).key() for one in CHANGES[name]}) == len(CHANGES[name])


class TestAround:
    def test_a_box_of_the_right_shape_is_taken_as_it_is(self) -> None:
        assert around(np.array([20.0, 30, 50, 70]), 0, 200, 200, 0.75) == pytest.approx((0.1, 0.15, 0.25, 0.35))

    def test_a_margin_is_added_on_each_side(self) -> None:
        found = around(np.array([20.0, 30, 50, 70]), 0.5, 200, 200, 0.75)
        assert found == pytest.approx((5 / 200, 10 / 200, 65 / 200, 90 / 200))

    def test_a_box_of_another_shape_is_grown_not_cut(self) -> None:
        wide = around(np.array([50.0, 90, 110, 110]), 0, 200, 200, 0.75)
        assert wide == pytest.approx((50 / 200, 60 / 200, 110 / 200, 140 / 200))

    def test_what_juts_out_is_moved_in(self) -> None:
        assert around(np.array([-10.0, 150, 20, 190]), 0.5, 200, 200, 0.75) == pytest.approx((0, 0.6, 0.3, 1))

    @given(
        st.integers(1, 900), st.integers(1, 900), st.floats(0.2, 5), st.floats(0, 2), st.tuples(*[st.floats(0, 1)] * 4)
    )
    @settings(deadline=None, max_examples=300)
    def test_is_in_the_image_and_holds_the_box(
        self, width: int, height: int, aspect: float, margin: float, corners: tuple[float, float, float, float]
    ) -> None:
        x, y = sorted(corners[:2]), sorted(corners[2:])
        box = np.array([x[0] * width, y[0] * height, x[1] * width + 0.5, y[1] * height + 0.5])
        if box[0] >= width or box[1] >= height:
            return
        left, top, right, bottom = around(box, margin, width, height, aspect)
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
        inside = box.clip(0, [width, height] * 2)
        assert left * width <= inside[0] + 1e-6
        assert top * height <= inside[1] + 1e-6
        assert right * width >= inside[2] - 1e-6
        assert bottom * height >= inside[3] - 1e-6

    @pytest.mark.parametrize(
        "box", [[50, 20, 40, 60], [50, 60, 60, 60], [300, 10, 310, 20], [10, -20, 20, -10], [np.inf] * 4]
    )
    def test_a_box_that_is_no_part_of_the_image_is_refused(self, box: list[float]) -> None:
        with pytest.raises(UserError, match="is no part of its 200 x 100 pixels"):
            around(np.array(box, dtype=float), 0, 200, 100, 0.75)


class TestBoxedPixels:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        """Black, but for a white part from (30, 60) to (60, 100)."""
        pixels = np.zeros((160, 120, 3), dtype=np.uint8)
        pixels[60:100, 30:60] = 255
        Image.fromarray(pixels).save(tmp_path / "x.png")
        return tmp_path / "x.png"

    BOX = np.array([30.0, 60, 60, 100])

    def test_the_box_fills_the_image(self, path: Path) -> None:
        assert (Preprocessing((40, 30), BoxSettings()).load(path, self.BOX) == 255).all()

    def test_pixels_count_in_the_image_that_exif_sets_upright(self, path: Path, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        with Image.open(path) as image:
            image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", exif=exif, quality=95)
        assert Preprocessing((40, 30), BoxSettings()).load(tmp_path / "turned.jpg", self.BOX).mean() > 245

    def test_a_jpeg_at_a_smaller_scale_is_cropped_alike(self, path: Path, tmp_path: Path) -> None:
        with Image.open(path) as image:
            image.resize((960, 1280), Image.Resampling.NEAREST).save(tmp_path / "large.jpg", quality=95)
        assert Preprocessing((40, 30), BoxSettings()).load(tmp_path / "large.jpg", 8 * self.BOX).mean() > 245

    @pytest.mark.parametrize("box", [None, NOTHING])
    def test_without_a_box_it_is_the_fallback(self, path: Path, box: Any) -> None:
        centre = CentreSettings(left=0.25, top=0.375, right=0.5, bottom=0.625)
        for fallback, expected in ({"fallback": centre}, centre), ({}, None):
            found = Preprocessing((40, 30), BoxSettings(**fallback)).load(path, box)  # type: ignore[arg-type]
            np.testing.assert_array_equal(found, Preprocessing((40, 30), expected).load(path))

    def test_a_box_beside_the_image_is_named_with_its_file(self, path: Path) -> None:
        with pytest.raises(UserError, match=r"x\.png: its box 300, 0, 310, 10 is no part of its 120 x 160 pixels$"):
            Preprocessing((40, 30), BoxSettings()).load(path, np.array([300.0, 0, 310, 10]))


def test_counts_who_has_a_box() -> None:
    boxes = np.array([[0.0, 0, 1, 1], [np.nan] * 4, [0, 0, np.nan, 1]])
    assert crop_counts("face", boxes) == CropCounts("face", found=1, fallback=2)
