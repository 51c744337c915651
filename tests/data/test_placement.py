"""Where a part of an image lies in the network's input: found again in the pixels themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from multitask.data.crop import BoxSettings, CentreSettings, CropSettings
from multitask.data.fit import FitName
from multitask.data.images import Preprocessing

SPOT = np.array([80.0, 40.0, 120.0, 70.0])


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(64, 48), (48, 96)])
@pytest.mark.parametrize(
    ("crop", "box"),
    [
        (None, None),
        (CentreSettings(left=0.1, top=0.05, right=0.9), None),
        (BoxSettings(margin=0.2), [60, 20, 150, 100]),
    ],
    ids=["whole", "centre", "box"],
)
def test_a_spot_is_where_its_placement_says(
    fit: FitName, size: tuple[int, int], crop: CropSettings | None, box: list[float] | None, tmp_path: Path
) -> None:
    pixels = np.zeros((150, 200, 3), dtype=np.uint8)
    left, top, right, bottom = SPOT.astype(int)
    pixels[top:bottom, left:right, 0] = 255
    path = tmp_path / "spot.png"
    Image.fromarray(pixels).save(path)
    preprocessing = Preprocessing(size, crop, fit=fit)
    own: Any = None if box is None else np.array(box, dtype=np.float64)
    loaded = preprocessing.load(path, own)
    seen = (loaded[..., 0] > 127) & (loaded[..., 1] < 64)  # neither the image nor the padding is red
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    expected = preprocessing.place(path, own).to_input(SPOT)
    np.testing.assert_allclose(found, expected, atol=1.01)
