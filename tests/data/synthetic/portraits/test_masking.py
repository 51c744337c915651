"""Masks on faces: where they go, how they are lit, and the spline that bends them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from multitask.data.synthetic.portraits.face import WORN, FaceFrame
from multitask.data.synthetic.portraits.masking import ThinPlateSpline, wear
from multitask.data.synthetic.portraits.templates import MaskTemplate, read_templates
from tests.data.synthetic.portraits.conftest import LANDMARKS


@pytest.fixture
def blue(masks: Path) -> MaskTemplate:
    return read_templates(masks)[0]


def worn(
    blue: MaskTemplate, grey: int = 150, points: np.ndarray = LANDMARKS, dye: tuple[int, int, int] | None = None
) -> np.ndarray:
    pixels = np.full((150, 120, 3), grey, np.uint8)
    return wear(pixels, points, blue, WORN, np.random.default_rng(0), dye)


def test_it_is_where_the_frame_says(blue: MaskTemplate) -> None:
    is_blue = worn(blue)[..., 2].astype(int) - worn(blue)[..., 0] > 100
    rows, columns = np.flatnonzero(is_blue.any(axis=1)), np.flatnonzero(is_blue.any(axis=0))
    placed = FaceFrame.of(LANDMARKS).place(WORN)
    assert abs(rows[0] - placed[1, 1]) < 4
    assert abs(rows[-1] - placed[4, 1]) < 4
    assert abs(columns[0] - placed[0, 0]) < 4
    assert abs(columns[-1] - placed[2, 0]) < 4
    assert (worn(blue)[:50] == 150).all()  # above, nothing changes


def test_edges_are_soft(blue: MaskTemplate) -> None:
    column = worn(blue)[55:90, 60, 0].astype(int)
    assert np.any((column > 20) & (column < 120))


def test_it_is_as_bright_as_the_face(blue: MaskTemplate) -> None:
    dark, middle, bright = (int(worn(blue, grey)[85, 60, 2]) for grey in (40, 110, 150))
    assert dark < middle < bright
    assert bright > 240


def test_a_dye_is_another_colour(blue: MaskTemplate) -> None:
    red = worn(blue, dye=(200, 0, 0))[85, 60]
    assert red[0] > 180
    assert red[1] == red[2] == 0


def test_a_face_at_the_edge_or_beyond_it(blue: MaskTemplate) -> None:
    assert worn(blue, points=LANDMARKS + np.array((50, 60))).shape == (150, 120, 3)
    assert (worn(blue, points=LANDMARKS + np.array((900, 0))) == 150).all()


def test_the_spline_meets_its_points_and_keeps_affine_maps() -> None:
    rng = np.random.default_rng(0)
    points, values = rng.uniform(0, 90, (6, 2)), rng.uniform(0, 50, (6, 2))
    assert np.allclose(ThinPlateSpline(points, values)(points), values)
    affine = points @ [[2.0, 0.5], [-0.3, 1.0]] + (4, 5)
    others = rng.uniform(-50, 200, (9, 2))
    assert np.allclose(ThinPlateSpline(points, affine)(others), others @ [[2.0, 0.5], [-0.3, 1.0]] + (4, 5))


def test_the_grid_is_the_spline() -> None:
    rng = np.random.default_rng(1)
    points = np.array([(5.0, 5), (40, 2), (75, 6), (10, 50), (40, 70), (70, 52)])
    spline = ThinPlateSpline(points, points + rng.normal(0, 3, (6, 2)))
    grid = spline.grid(83, 77)
    assert grid.shape == (77, 83, 2)
    assert np.abs(grid[33, 41] - spline(np.array([[41.0, 33]]))[0]).max() < 0.3
    assert np.allclose(grid[76, 82], spline(np.array([[82.0, 76]]))[0], atol=1e-3)
