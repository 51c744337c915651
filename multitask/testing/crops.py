"""The contract of crops."""

from __future__ import annotations

import numpy as np

from multitask.data import CropSettings
from multitask.testing.expect import expect

BOXES = (
    None,
    np.full(4, np.nan),
    np.array([10.0, 20.0, 40.0, 50.0]),
    np.array([-9.0, -9.0, 300.0, 9.0]),
)
"""None, an unknown one, one within an image of 96 x 128 pixels, one that juts out."""


def gives_a_part_of_the_image(settings: CropSettings) -> None:
    """Whatever the image's box."""
    for box in BOXES:
        left, top, right, bottom = region = settings.region(96, 128, 0.75, box)
        inside = 0 <= left < right <= 1 and 0 <= top < bottom <= 1
        expect(inside, settings, f"give left < right and top < bottom from 0 to 1, not {region} for the box {box}")


def says_whether_it_looks_at_boxes(settings: CropSettings) -> None:
    """``boxed``, by which boxes are looked for."""
    boxes = (BOXES[2], np.array([30.0, 60.0, 80.0, 90.0]))
    looks = len({settings.region(96, 128, 0.75, box) for box in boxes}) > 1
    expect(looks == settings.boxed, settings, f"say boxed as it is: {looks}")


def is_named_by_a_key(settings: CropSettings) -> None:
    """What is cached is found by it."""
    key = settings.key()
    expect(isinstance(key, str) and key, settings, "have a key")
    expect(settings.model_copy().key() == key, settings, "have the same key with the same settings")


CROP_CHECKS = (gives_a_part_of_the_image, says_whether_it_looks_at_boxes, is_named_by_a_key)
"""What is checked of a crop, each alone."""


def check_crop(settings: CropSettings) -> None:
    """The contract of crops, whole, over one of them.

    >>> from multitask.data import CROPS
    >>> check_crop(CROPS["box"](name="box", margin=0.1))

    Raises:
        AssertionError: it does not keep it; the message says what was expected.
    """
    for check in CROP_CHECKS:
        check(settings)
