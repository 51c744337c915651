"""Landmarks of portraits: those of the table, else what YuNet finds."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multitask.data.colours import Decoding
from multitask.data.face_detector import FaceDetector
from multitask.data.image_file import ImageFile, read_image
from multitask.data.synthetic.portraits.face import facing
from multitask.data.synthetic.portraits.table import POINTS, Portrait
from multitask.errors import UserError

_DETECT_PX = 320
_MIN_SCORE = 0.5
"""Higher than for crops: these faces are bare, and a mask in the wrong place is worse than a person less."""


def open_detector(model: Path | None, portraits: list[Portrait], table: Path) -> FaceDetector | None:
    """The detector of the portraits whose landmarks are not known.

    Raises:
        UserError: one is needed and none is named, or named and not needed, or is no YuNet.
    """
    unknown = sum(portrait.points is None for portrait in portraits)
    if model is None:
        if unknown == len(portraits):
            raise UserError(
                f"--yunet: name YuNet's ONNX file, since {table} has no landmarks (columns {POINTS[0]}, {POINTS[1]} to "
                f"{POINTS[-1]})"
            )
        return None
    if not unknown:
        raise UserError(f"--yunet: would be ignored: {table} has the landmarks of all; leave it out")
    return FaceDetector.read(model, "largest", _MIN_SCORE, _DETECT_PX, setting="--yunet")


def find_points(portrait: Portrait, detector: FaceDetector | None) -> NDArray[np.float64] | None:
    """A portrait's landmarks; None where there is no face that is seen from the front.

    Returns:
        (5, 2) in pixels of the upright image.

    Raises:
        UserError: the image cannot be read, or the table's landmarks are outside it.
    """
    if portrait.points is not None:
        read_image(portrait.path, Decoding(), partial(_check_inside, portrait.points))
        return portrait.points
    if detector is None:
        return None
    image, full = open_portrait(portrait.path, _DETECT_PX)
    for side in (_DETECT_PX, _DETECT_PX // 2):  # from further away too, since YuNet misses faces that fill the image
        scale = min(1.0, side / max(image.size))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        points = detector.landmarks(np.asarray(image.resize(size, Image.Resampling.BILINEAR)))
        points = points * (np.array(full) / size)
        if facing(points):
            return points
    return None


def _check_inside(points: NDArray[np.float64], file: ImageFile) -> None:
    """Checks that landmarks are in an image.

    Raises:
        UserError: one is not; the line names its column.
    """
    size = (file.width, file.height)
    outside = np.argwhere((points < 0) | (points > size))
    if len(outside):
        point, axis = outside[0].tolist()
        raise UserError(
            f"{POINTS[2 * point + axis]}: must be within the image of {size[0]} x {size[1]} pixels, found "
            f"{points[point, axis]:g}; scale the table's landmarks as the files were, or leave this row's empty"
        )


def open_portrait(path: Path, least_px: int) -> tuple[Image.Image, tuple[int, int]]:
    """A portrait as RGB, decoded at a smaller scale where its file allows, and its full width and height.

    Args:
        path: of its file.
        least_px: what both of its sides must have at least, unless the file has less.
    """
    return read_image(path, Decoding(), lambda file: (file.decode(least_px, least_px), (file.width, file.height)))
