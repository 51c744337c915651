"""Landmarks of portraits: those of a table must be within the image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multitask.data.synthetic.portraits.landmarks import find_points
from multitask.data.synthetic.portraits.table import Portrait
from multitask.errors import UserError
from tests.data.synthetic.portraits.conftest import LANDMARKS

SIZE = (120, 150)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.new("RGB", SIZE).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def portrait(path: Path, points: np.ndarray | None) -> Portrait:
    return Portrait(0, path.name, path, "male", 20, points)


class TestOfTheTable:
    def test_those_within_the_image_are_taken(self, photo: Path) -> None:
        assert find_points(portrait(photo, LANDMARKS), None) is LANDMARKS

    @pytest.mark.parametrize(
        ("points", "named"),
        [
            (3 * LANDMARKS, "right_eye_x: .* found 138"),
            (LANDMARKS + np.array((0, 63)), "right_mouth_y: .* found 151"),
            (LANDMARKS - np.array((47, 0)), "right_eye_x: .* found -1"),
        ],
    )
    def test_others_are_of_another_size_of_the_file(self, photo: Path, points: np.ndarray, named: str) -> None:
        with pytest.raises(UserError, match=rf"a\.png: {named}; scale the table's landmarks") as caught:
            find_points(portrait(photo, points), None)
        assert "must be within the image of 120 x 150 pixels" in str(caught.value)

    def test_the_image_is_the_upright_one(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6  # turned by a quarter
        Image.new("RGB", SIZE[::-1]).save(tmp_path / "a.jpg", exif=exif)
        assert find_points(portrait(tmp_path / "a.jpg", LANDMARKS + np.array((0, 60))), None) is not None
        with pytest.raises(UserError, match="120 x 150 pixels"):
            find_points(portrait(tmp_path / "a.jpg", LANDMARKS + np.array((60, 0))), None)

    def test_without_any_there_is_no_face(self, photo: Path) -> None:
        assert find_points(portrait(photo, None), None) is None
