"""The part of a portrait that is shown: as the competition frames faces, extended where the portrait is tight."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from multitask.data.synthetic.portraits.framing import cut_part, enlarged, lit
from tests.data.synthetic.portraits.conftest import LANDMARKS

SIZE = (60, 80)


def marked(size: tuple[int, int], at: np.ndarray) -> Image.Image:
    pixels = np.full((size[1], size[0], 3), 128, np.uint8)
    x, y = np.rint(at).astype(int)
    pixels[y - 3 : y + 4, x - 3 : x + 4] = (255, 0, 0)
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("size", "shift"), [((400, 500), (150, 150)), ((120, 150), (0, 0)), ((90, 100), (-20, -30)), ((130, 90), (0, -25))]
)
def test_landmarks_stay_on_what_they_mark(size: tuple[int, int], shift: tuple[int, int]) -> None:
    points = LANDMARKS + np.array(shift)
    for seed in range(5):
        part = cut_part(marked(size, points[2]), points, SIZE, np.random.default_rng(seed))
        red = part.pixels[..., 0].astype(int) - part.pixels[..., 1] > 90
        found = np.argwhere(red).mean(axis=0)[::-1] + 0.5
        assert np.abs(found - (part.points[2] + 0.5 * part.pixels.shape[1] / 60)).max() < 2


def test_faces_of_all_sizes_are_shown_alike() -> None:
    for scale in (1, 3, 8):
        points = LANDMARKS * scale
        image = Image.new("RGB", (240 * scale, 300 * scale))
        part = cut_part(image, points, SIZE, np.random.default_rng(0))
        height = part.pixels.shape[0]
        eyes, mouth = part.points[:2, 1].mean() / height, part.points[3:, 1].mean() / height
        assert 0.35 < eyes < 0.45
        assert 0.18 < mouth - eyes < 0.22


def test_no_larger_than_the_portrait_has_pixels_for() -> None:
    part = cut_part(Image.new("RGB", (120, 150)), LANDMARKS, (384, 512), np.random.default_rng(0))
    assert part.pixels.shape[1] <= 120
    assert enlarged(part.pixels, (384, 512)).shape == (512, 384, 3)


def test_beyond_a_tight_portrait_is_what_its_edge_looks_like() -> None:
    tight = Image.new("RGB", (80, 80), (200, 100, 50))
    part = cut_part(tight, LANDMARKS - (20, 35), SIZE, np.random.default_rng(0))
    assert np.abs(part.pixels.astype(int) - (200, 100, 50)).max() <= 2


def test_light_differs_a_little() -> None:
    grey = np.full((4, 4, 3), 100, np.uint8)
    found = {int(lit(grey, np.random.default_rng(seed))[0, 0, 0]) for seed in range(20)}
    assert len(found) > 5
    assert min(found) >= 92
    assert max(found) <= 108
