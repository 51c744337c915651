"""Crops: the part of an image that the network sees: all of it, a fixed part, a box from the table, or the face."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from multitask.data.image_facts import CropCounts
from multitask.errors import UserError
from multitask.settings import ConfigPath, Fraction, NonNegativeFloat, PositiveInt, Settings, Table

if TYPE_CHECKING:
    from multitask.data.face_detector import FaceDetector

Region = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the upright image's width and height."""
Box = NDArray[np.float64]
"""(4,) left, top, right, bottom in pixels of the upright image, or x and y of the face's right and left eye, as the
crop ``reads`` them; NaN where unknown."""
Matrix = NDArray[np.float64]
"""(2, 3), from x, y and 1 in pixels of the upright image to x and y in those of the input."""


def check_extent(part: Region) -> None:
    """Refuses a part that a file names and that has no extent.

    Raises:
        ValueError: it has none.
    """
    left, top, right, bottom = part
    if left >= right or top >= bottom:
        raise ValueError(
            f"left must be less than right and top less than bottom, found {left}, {right}, {top}, {bottom}"
        )


class CropSettings(Settings):
    """The settings of a crop."""

    name: str
    boxed: ClassVar[bool] = False
    """Whether each image is cropped to a box of its own."""
    reads: ClassVar[Literal["boxes", "eyes"]] = "boxes"
    """The column of the samples in which a ``boxed`` crop without a detector finds an image's."""

    @abstractmethod
    def region(self, width: int, height: int, aspect: float, box: Box | None) -> Region:
        """The part of an image that is used.

        Args:
            width: of the upright image, in pixels.
            height: likewise.
            aspect: width / height of the network's input.
            box: the image's own, if it has one; only a ``boxed`` crop uses it.

        Raises:
            UserError: the box is no part of the image.
        """

    @abstractmethod
    def key(self) -> str:
        """Whatever the part depends on beside the image, its box and its detector, as plain values for a cache key."""

    def check_given(self, width: int, height: int, box: Box | None) -> None:
        """Refuses what the table of samples has for an image, where it cannot be of it; arguments as of ``region``.

        Raises:
            UserError: it is no part of the image.
        """

    def matrix(self, size: tuple[int, int], box: Box | None) -> Matrix | None:
        """The transform by which an image becomes the input; None: what is used is the upright part of ``region``.

        Args:
            size: height and width of the input, in pixels.
            box: as of ``region``.
        """
        return None

    def detector(self) -> FaceDetector | None:
        """The detector of an image's box; None: there is none.

        Raises:
            UserError: its model cannot be used.
        """
        return None


CROPS: Table[CropSettings] = Table("crop", CropSettings, default="none")
"""The table of crops; its rows stand in the package's ``__init__``."""

AnyCrop = Annotated[CropSettings, CROPS]
AnyFallback = Annotated[CropSettings, CROPS.part(lambda row: not row.boxed, default="centre")]
"""The crop of images without a box."""


class WholeSettings(CropSettings):
    """No crop: the whole image."""

    name: Literal["none"] = "none"

    def region(self, width: int, height: int, aspect: float, box: Box | None) -> Region:
        """All of every image."""
        return 0.0, 0.0, 1.0, 1.0

    def key(self) -> str:
        """The key of a fixed part that is all of the image."""
        return repr((0.0, 0.0, 1.0, 1.0))


class CentreSettings(CropSettings):
    """A fixed part, as fractions of the image, for images that are all framed alike."""

    name: Literal["centre"] = "centre"
    left: Fraction = 0.0
    top: Fraction = 0.0
    right: Fraction = 1.0
    bottom: Fraction = 1.0

    @model_validator(mode="after")
    def _check(self) -> CentreSettings:
        check_extent((self.left, self.top, self.right, self.bottom))
        return self

    def region(self, width: int, height: int, aspect: float, box: Box | None) -> Region:
        """The same part of every image."""
        return self.left, self.top, self.right, self.bottom

    def key(self) -> str:
        """The fractions of left, top, right and bottom."""
        return repr((self.left, self.top, self.right, self.bottom))


class BoxedSettings(CropSettings):
    """A box of the image's own, with a margin."""

    boxed: ClassVar[bool] = True
    margin: Annotated[NonNegativeFloat, Field(le=100)]
    fallback: AnyFallback = WholeSettings()
    """The crop of images without a box."""

    def region(self, width: int, height: int, aspect: float, box: Box | None) -> Region:
        """The box with its margin, or the fallback."""
        if box is None or np.isnan(box).any():
            return self.fallback.region(width, height, aspect, None)
        return around(box, self.margin, width, height, aspect)

    def key(self) -> str:
        """The margin, and the key of the fallback."""
        return repr((self.name, self.margin, self.fallback.key()))


class BoxSettings(BoxedSettings):
    """The box that the table of samples has for an image."""

    name: Literal["box"] = "box"
    margin: Annotated[NonNegativeFloat, Field(le=100)] = 0.0
    """Added on each of the four sides, as a share of the box's width or height."""


class FaceSettings(BoxedSettings):
    """The face, as OpenCV's YuNet finds it.

    Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 2023.
    """

    name: Literal["face"] = "face"
    model: ConfigPath
    """YuNet's ONNX file."""
    margin: Annotated[NonNegativeFloat, Field(le=100)] = 0.25
    """Added on each of the four sides, as a share of the face's width or height."""
    choose: Literal["largest", "central"] = "largest"
    """Which of several faces, among those that the detector is at least half as sure of as of the surest."""
    min_score: Annotated[Fraction, Field(gt=0)] = 0.2
    """Least confidence of the detector in a face; low, since that in a face behind a mask is low."""
    detect_px: Annotated[PositiveInt, Field(ge=32, le=8192)] = 224
    """The longer side of what the detector sees; it misses faces of less than about 10 pixels there."""

    def detector(self) -> FaceDetector:
        """The face detector.

        Raises:
            UserError: the model cannot be read, or is not YuNet.
        """
        from multitask.data.face_detector import FaceDetector

        return FaceDetector.read(Path(self.model), self.choose, self.min_score, self.detect_px)


def around(box: Box, margin: float, width: int, height: int, aspect: float) -> Region:
    """A box with a margin, grown to an aspect about its middle rather than cut, as far as the image goes.

    Args:
        box: in pixels, at least a part of it in the image.
        margin: added on each side, as a share of the box's width or height.
        width: the image's, in pixels.
        height: likewise.
        aspect: width / height of the result, unless the image is too small for it.

    Raises:
        UserError: the box is no part of the image.
    """
    left, top, right, bottom = box.tolist()
    if not (max(left, 0) < min(right, width) and max(top, 0) < min(bottom, height)):
        raise UserError(f"its box {left:g}, {top:g}, {right:g}, {bottom:g} is no part of its {width} x {height} pixels")
    box_width, box_height = (right - left) * (1 + 2 * margin), (bottom - top) * (1 + 2 * margin)
    box_width = max(box_width, box_height * aspect)
    box_height = max(box_height, box_width / aspect)
    x, box_right = _inside((left + right) / 2, box_width, width)
    y, box_bottom = _inside((top + bottom) / 2, box_height, height)
    return x / width, y / height, box_right / width, box_bottom / height


def _inside(middle: float, length: float, limit: int) -> tuple[float, float]:
    """An interval of a length about a middle, moved into [0, limit]; all of [0, limit] where it is longer."""
    start = min(max(middle - length / 2, 0.0), max(limit - length, 0.0))
    return start, min(start + length, float(limit))


def crop_counts(name: str, boxes: NDArray[np.float64]) -> CropCounts:
    """The counts of images that were cropped to a box of their own, and to the fallback.

    Args:
        name: the crop's.
        boxes: (N, 4), NaN where an image has none.
    """
    missing = int(np.isnan(boxes).any(axis=1).sum())
    return CropCounts(name, found=len(boxes) - missing, fallback=missing)
