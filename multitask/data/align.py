"""Alignment by the eyes: an image turned, scaled and moved until both eyes are where all images have them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from multitask.data.crop import AnyFallback, Box, CropSettings, Matrix, Region, WholeSettings
from multitask.errors import UserError
from multitask.settings import ConfigPath, Float, PositiveInt

if TYPE_CHECKING:
    from multitask.data.face_detector import FaceDetector
    from multitask.data.image_file import DecodedImage, ImageFile

_LEAST_PX = 2.0
"""Eyes that are closer say nothing of how a face is turned."""
_OF_DETECTOR = ("choose", "min_score", "detect_px")


class AlignSettings(CropSettings):
    """The face with both eyes at fixed places, by a similarity transform (turned, scaled and moved, never bent).

    Sources that are framed differently come out alike. Faces are aligned so for recognition, there by five points (Liu
    et al., SphereFace, CVPR 2017). What lies beyond an image's edge is the image mirrored; ``fit``
    is of the fallback only.
    """

    name: Literal["align"] = "align"
    boxed: ClassVar[bool] = True
    reads: ClassVar[Literal["boxes", "eyes"]] = "eyes"
    model: ConfigPath | None = None
    """The ONNX file of YuNet, which finds the eyes; None: the table of samples has them (``eyes``)."""
    eye_distance: Annotated[Float, Field(ge=0.05, le=0.95)] = 0.5
    """Between the eyes, as a share of the input's width."""
    eye_height: Annotated[Float, Field(ge=0, le=1)] = 0.32
    """Of the eyes below the upper edge, as a share of the input's height."""
    fallback: AnyFallback = WholeSettings()
    """The crop of images without known eyes."""
    choose: Literal["largest", "central"] = "largest"
    """Which of several faces, as of ``face``."""
    min_score: Annotated[Float, Field(gt=0, le=1)] = 0.2
    """Least confidence of the detector in a face, as of ``face``."""
    detect_px: Annotated[PositiveInt, Field(ge=32, le=8192)] = 224
    """The longer side of what the detector sees, as of ``face``."""

    @model_validator(mode="after")
    def _check(self) -> AlignSettings:
        for key in _OF_DETECTOR:
            if self.model is None and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(
                    f"{key}: {getattr(self, key)} would be ignored: no model is named that looks for faces"
                )
        return self

    def detector(self) -> FaceDetector | None:
        """The detector of the eyes; None: the table has them.

        Raises:
            UserError: the model cannot be read, or is not YuNet.
        """
        if self.model is None:
            return None
        from multitask.data.face_detector import FaceDetector

        return FaceDetector.read(Path(self.model), self.choose, self.min_score, self.detect_px, "eyes")

    def check_given(self, width: int, height: int, box: Box | None) -> None:
        """Refuses eyes of which neither is in the image, or both are in its first pixel: they have another scale."""
        if self.model is not None or box is None or np.isnan(box).any():
            return
        points = box.reshape(2, 2)
        if ((points < 0) | (points > (width, height))).any(axis=1).all() or points.max() <= 1:
            (x, y), (left_x, left_y) = points.tolist()
            raise UserError(
                f"its eyes {x:g}, {y:g} and {left_x:g}, {left_y:g} are no part of its {width} x {height} pixels"
            )

    def matrix(self, size: tuple[int, int], box: Box | None) -> Matrix | None:
        """The similarity transform that puts both eyes where they belong; None where they are unknown."""
        if box is None or np.isnan(box).any():
            return None
        right, left = box.reshape(2, 2)  # as the face has them: the right eye is on the image's left
        across = left - right
        apart = math.hypot(*across)
        if apart < _LEAST_PX:
            return None
        scale = self.eye_distance * size[1] / apart
        cos, sin = scale * across / apart
        turned = np.array([[cos, sin], [-sin, cos]])
        middle = np.array([size[1] / 2, self.eye_height * size[0]])
        return np.column_stack([turned, middle - turned @ ((right + left) / 2)])

    def region(self, width: int, height: int, aspect: float, box: Box | None) -> Region:
        """The upright part of the image that holds all that is seen of it, or the fallback."""
        size = (1000, max(1, round(1000 * aspect)))
        matrix = self.matrix(size, box)
        if matrix is None:
            return self.fallback.region(width, height, aspect, None)
        low, high = bounds(matrix, size)
        limit = np.array([width, height])
        # At least a thousandth of the image, also where the eyes are beside it.
        low, high = low.clip(0, limit * 0.999), high.clip(limit * 0.001, limit)
        (left, top), (right, bottom) = low / limit, np.maximum(high, low + limit * 0.001) / limit
        return float(left), float(top), float(min(right, 1.0)), float(min(bottom, 1.0))

    def key(self) -> str:
        """The eyes' places, and the key of the fallback."""
        return repr((self.name, self.eye_distance, self.eye_height, self.fallback.key()))


def inverse(matrix: Matrix) -> Matrix:
    """The (2, 3) inverse of a (2, 3) transform of points."""
    turned = np.linalg.inv(matrix[:, :2])
    return np.column_stack([turned, -turned @ matrix[:, 2]])


def bounds(matrix: Matrix, size: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(2,) and (2,), x and y of the upright box in an image's pixels that an input of a height and width comes from."""
    height, width = size
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ inverse(matrix).T
    return corners.min(axis=0), corners.max(axis=0)


def warp(file: ImageFile | DecodedImage, matrix: Matrix, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The transformed image.

    Args:
        file: the image.
        matrix: (2, 3), a similarity transform from its pixels to those of the input.
        size: height and width of the input.

    Returns:
        (H, W, 3) uint8.
    """
    import cv2
    from PIL import Image

    scale = min(1.0, math.hypot(*matrix[:, 0]))
    wanted = max(1, round(file.width * scale)), max(1, round(file.height * scale))
    image = file.decode(*wanted)
    if image.width > wanted[0] or image.height > wanted[1]:
        # First made smaller, every pixel counted: the transform looks at four for each, and would leave out the rest.
        image = image.resize(wanted, Image.Resampling.BILINEAR)
    ratio = np.array([file.width / image.width, file.height / image.height])
    turned = matrix[:, :2] * ratio
    # Whole numbers are edges of pixels here, and middles in OpenCV.
    shift = matrix[:, 2] + turned @ (0.5, 0.5) - 0.5
    found: NDArray[np.uint8] = cv2.warpAffine(
        np.asarray(image),
        np.column_stack([turned, shift]),
        size[::-1],
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return found
