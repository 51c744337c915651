"""Covers: a share of the images, within their box, the same for the same seed and place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from multitask.data.augment import Augmentation
from multitask.data.augment_settings import AugmentSettings, CoverSettings, SourceAugmentSettings
from multitask.data.cover import cover

BOX = {"left": 0.25, "top": 0.5, "right": 0.75, "bottom": 0.9}


def covered(num: int, seed: int = 0, **changes: Any) -> np.ndarray:
    """(num, 100, 80) bool, which pixels of images that are all of one colour are covered."""
    images = np.full((num, 100, 80, 3), 77, dtype=np.uint8)
    cover(images, CoverSettings(**{"share": 1.0, **BOX, **changes}), seed)
    hidden: np.ndarray = (images != 77).any(axis=3)
    return hidden


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_the_images_is_covered(share: float) -> None:
    hidden = covered(2000, share=share).any(axis=(1, 2))
    assert hidden.mean() == pytest.approx(share, abs=0.03)


def test_a_cover_hides_the_middle_of_its_box_and_nothing_far_from_it() -> None:
    hidden = covered(300)
    rows, columns = np.mgrid[0:100, 0:80]
    down, across = (rows - 70) / 40, (columns - 40) / 40  # -0.5 to 0.5 within the box
    outside = (np.abs(down) > 0.66) | (np.abs(across) > 0.66)
    assert not hidden[:, outside].any()
    centre = (np.abs(down) < 0.15) & (np.abs(across) < 0.15)
    assert hidden[:, centre].mean() > 0.99
    assert 0.6 < hidden.sum(axis=(1, 2)).mean() / (40 * 40) < 1.0  # an ellipse has .785 of its box


def test_covers_differ_in_size_and_colour() -> None:
    images = np.zeros((50, 100, 80, 3), dtype=np.uint8)
    cover(images, CoverSettings(share=1.0, **BOX), seed=1)
    assert len(set((images > 0).any(axis=3).sum(axis=(1, 2)).tolist())) > 40
    assert images[:, 70, 40].std(axis=0).min() > 40


def test_what_an_image_gets_depends_on_the_seed_and_its_place_alone() -> None:
    whole = covered(12, seed=5, share=0.6)
    np.testing.assert_array_equal(covered(7, seed=5, share=0.6), whole[:7])
    assert (covered(12, seed=6, share=0.6) != whole).any()


@pytest.mark.parametrize("found", [{"left": 0.8, "right": 0.2}, {"top": 0.9, "bottom": 0.9}])
def test_a_box_without_extent_is_refused(found: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=r"left must be less than right and top less than bottom, found 0\."):
        CoverSettings(share=1.0, **found)


class TestOfASource:
    IMAGES = np.full((24, 40, 30, 3), 77, dtype=np.uint8)
    SOURCES = np.array(["people", "faces"] * 12, dtype=object)
    OWN = SourceAugmentSettings(strength=0.0, cover=CoverSettings(share=1.0))

    def test_covers_its_images_alone(self) -> None:
        found = Augmentation(AugmentSettings(strength=0.0), {"faces": self.OWN})(self.IMAGES, 3, self.SOURCES)
        hidden = (found != self.IMAGES).any(axis=(1, 2, 3))
        np.testing.assert_array_equal(hidden, self.SOURCES == "faces")

    def test_comes_before_all_else_so_that_it_is_moved_with_its_image(self) -> None:
        plain = Augmentation(self.OWN)(self.IMAGES, 3)
        left = (plain != 77).any(axis=3)
        flipped = Augmentation(
            SourceAugmentSettings(strength=1.0, flip="alone", colour=0, noise=0, occlusion=0, cover=self.OWN.cover)
        )(self.IMAGES, 3)
        turned = [
            not np.array_equal(now, before) and np.array_equal(now, before[:, ::-1])
            for now, before in zip((flipped != 77).any(axis=3), left, strict=True)
        ]
        assert any(turned)

    def test_the_input_is_kept(self) -> None:
        before = self.IMAGES.copy()
        Augmentation(self.OWN)(self.IMAGES, 3)
        np.testing.assert_array_equal(self.IMAGES, before)

    @pytest.mark.parametrize("strength", [0.0, 0.7])
    def test_rows_of_a_batch_are_those_of_the_whole_batch(self, strength: float) -> None:
        own = SourceAugmentSettings(strength=strength, cover=CoverSettings(share=0.5))
        augmentation = Augmentation(AugmentSettings(strength=strength), {"faces": own})
        whole = augmentation(self.IMAGES, 9, self.SOURCES)
        for rows in (slice(0, 10), slice(10, 24), slice(7, 9)):
            part = augmentation(self.IMAGES[rows], 9, self.SOURCES[: rows.stop], rows.start)
            np.testing.assert_array_equal(part, whole[rows])
