"""Which part of a picture the network sees: all of it, a fixed part, a box from the table, or the face."""

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
"""Left, top, right, bottom as fractions of the upright picture's width and height."""
Box = NDArray[np.float64]
"""(4,) left, top, right, bottom in pixels of the upright picture; NaN where unknown."""


class CropSettings(Settings):
    """What every crop can be asked."""

    name: str
    boxed: ClassVar[bool] = False
    """Whether each picture is cropped to a box of its own."""

    @abstractmethod
    def region(self, width: int, height: int, aspect: float, box: Box | None) -> Region:
        """The part of a picture that is used.

        Args:
            width: of the upright picture, in pixels.
            height: likewise.
            aspect: width / height of what the part becomes.
            box: the picture's own, if it has one; a crop that is not ``boxed`` does not look at it.

        Raises:
            UserError: the box is no part of the picture.
        """

    @abstractmethod
    def key(self) -> str:
        """What the part depends on beside the picture, its box and its detector."""

    def detector(self) -> FaceDetector | None:
        """What finds the box of a picture; None: nothing does.

        Raises:
            UserError: its model cannot be used.
        """
        return None


CROPS: Table[CropSettings] = Table("crop", CropSettings, default="none")
"""The table of crops; its rows stand in the package's ``__init__``."""

AnyCrop = Annotated[CropSettings, CROPS]
AnyFallback = Annotated[CropSettings, CROPS.part(lambda row: not row.boxed, default="centre")]
"""What is used of a picture without a box."""


class WholeSettings(CropSettings):
    """No crop: the whole picture."""

    name: Literal["none"] = "none"

    def region(self, width: int, height: int, aspect: float, box: Box | None) -> Region:
        """All of every picture."""
        return 0.0, 0.0, 1.0, 1.0

    def key(self) -> str:
        """As that of a fixed part which is all of the picture."""
        return repr((0.0, 0.0, 1.0, 1.0))


class CentreSettings(CropSettings):
    """A fixed part, as fractions of the picture: where the faces stand in pictures that are all framed alike."""

    name: Literal["centre"] = "centre"
    left: Fraction = 0.0
    top: Fraction = 0.0
    right: Fraction = 1.0
    bottom: Fraction = 1.0

    @model_validator(mode="after")
    def _check(self) -> CentreSettings:
        if self.left >= self.right or self.top >= self.bottom:
            raise ValueError(
                f"left must be less than right and top less than bottom, found {self.left}, {self.right}, {self.top}, "
                f"{self.bottom}"
            )
        return self

    def region(self, width: int, height: int, aspect: float, box: Box | None) -> Region:
        """The same part of every picture."""
        return self.left, self.top, self.right, self.bottom

    def key(self) -> str:
        """The part."""
        return repr((self.left, self.top, self.right, self.bottom))


class BoxedSettings(CropSettings):
    """A box of the picture's own, with a margin."""

    boxed: ClassVar[bool] = True
    margin: Annotated[NonNegativeFloat, Field(le=100)]
    fallback: AnyFallback = WholeSettings()
    """What is seen of an image without a box."""

    def region(self, width: int, height: int, aspect: float, box: Box | None) -> Region:
        """The box with its margin, or the fallback."""
        if box is None or np.isnan(box).any():
            return self.fallback.region(width, height, aspect, None)
        return around(box, self.margin, width, height, aspect)

    def key(self) -> str:
        """Margin and fallback."""
        return repr((self.name, self.margin, self.fallback.key()))


class BoxSettings(BoxedSettings):
    """The box that the table of samples has for a picture."""

    name: Literal["box"] = "box"
    margin: Annotated[NonNegativeFloat, Field(le=100)] = 0.0
    """What is added on each of the four sides, as a share of the box's width or height."""


class FaceSettings(BoxedSettings):
    """The face, as OpenCV's YuNet finds it.

    Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 2023.
    """

    name: Literal["face"] = "face"
    model: ConfigPath
    """YuNet's ONNX file."""
    margin: Annotated[NonNegativeFloat, Field(le=100)] = 0.25
    """What is added on each of the four sides, as a share of the face's width or height."""
    choose: Literal["largest", "central"] = "largest"
    """Which of several faces, among those that the detector is at least half as sure of as of the surest."""
    min_score: Annotated[Fraction, Field(gt=0)] = 0.2
    """How sure of a face the detector must be; low, since it is little sure of a face behind a mask."""
    detect_px: Annotated[PositiveInt, Field(ge=32, le=8192)] = 224
    """The longer side of what the detector sees; it misses faces of less than about 10 pixels there."""

    def detector(self) -> FaceDetector:
        """What finds the face in a picture.

        Raises:
            UserError: the model cannot be read, or is not YuNet.
        """
        from multitask.data.face_detector import FaceDetector

        return FaceDetector.read(Path(self.model), self.choose, self.min_score, self.detect_px)


def around(box: Box, margin: float, width: int, height: int, aspect: float) -> Region:
    """A box with a margin, grown to an aspect about its middle rather than cut, as far as the picture goes.

    Args:
        box: in pixels, at least a part of it in the picture.
        margin: added on each side, as a share of the box's width or height.
        width: the picture's, in pixels.
        height: likewise.
        aspect: width / height of the result, unless the picture is too small for it.

    Raises:
        UserError: the box is no part of the picture.
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
    """A stretch of a length about a middle, moved into [0, limit]; all of that where it is longer."""
    start = min(max(middle - length / 2, 0.0), max(limit - length, 0.0))
    return start, min(start + length, float(limit))


def crop_counts(name: str, boxes: NDArray[np.float64]) -> CropCounts:
    """How many pictures were cropped to a box of their own and how many to the fallback.

    Args:
        name: the crop's.
        boxes: (N, 4), NaN where a picture has none.
    """
    missing = int(np.isnan(boxes).any(axis=1).sum())
    return CropCounts(name, found=len(boxes) - missing, fallback=missing)
