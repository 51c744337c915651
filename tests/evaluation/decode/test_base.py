"""The best cell of each image, whichever way it is found."""

from __future__ import annotations

import numpy as np
import pytest

from multitask.evaluation.decode import base


@pytest.mark.parametrize("cells", [None, np.array([4, 1, 3])])
def test_few_images_and_many_have_the_same_best(cells: np.ndarray | None, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(0).integers(0, 4, (6, 200)).astype(float)  # of which many are equal
    few = base.best_cell(scores, cells)
    monkeypatch.setattr(base, "FEW", 0)
    for found, expected in zip(few, base.best_cell(scores, cells), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
