"""An image as several members see it, side by side."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multitask.data.crop import AnyCrop, BoxSettings, CentreSettings, WholeSettings
from multitask.data.tiled_images import TiledPreprocessing
from multitask.data.tiles import TileSettings


def tile(height: int, width: int, crop: AnyCrop) -> TileSettings:
    return TileSettings(image_size=(height, width), crop=crop, fit="crop", background=(9, 9, 9), value_range=None)


TILES = [tile(32, 24, WholeSettings()), tile(16, 20, CentreSettings(left=0.5)), tile(24, 24, BoxSettings())]


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 64, 3), dtype=np.uint8))


def test_each_tile_is_what_its_own_preprocessing_makes(image: Image.Image, tmp_path: Path) -> None:
    tiled = TiledPreprocessing(TILES)
    assert tiled.size == (32, 24 + 20 + 24)
    box = np.array([8.0, 8.0, 40.0, 40.0])
    found = tiled.convert(image, "it", box)
    left = 0
    for one in TILES:
        height, width = one.image_size
        expected = one.preprocessing().convert(image, "it", box)
        np.testing.assert_array_equal(found[:height, left : left + width], expected)
        assert not found[height:, left : left + width].any()
        left += width
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    (tmp_path / "it.png").write_bytes(buffer.getvalue())
    np.testing.assert_array_equal(tiled.load(tmp_path / "it.png", box), found)
    np.testing.assert_array_equal(tiled.load_bytes(buffer.getvalue(), "it", box), found)


def test_it_needs_a_box_where_one_of_its_tiles_does() -> None:
    assert TiledPreprocessing(TILES).crop == BoxSettings()
    assert not TiledPreprocessing(TILES[:2]).crop.boxed
