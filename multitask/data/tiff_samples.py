"""The kind of numbers in a TIFF, and what Pillow makes of them by itself and should not."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    SAMPLEFORMAT,
    SAMPLESPERPIXEL,
    ImageFileDirectory_v2,
)

_FORMATS = {
    1: "whole numbers",
    2: "signed whole numbers",
    3: "floats",
    5: "complex whole numbers",
    6: "complex numbers",
}


def samples_text(data: bytes) -> str | None:
    """The kind of numbers that a TIFF file holds, as ``64-bit floats``; None: its header does not say.

    Args:
        data: its content.
    """
    try:
        tags = ImageFileDirectory_v2(data[:8])
        file = io.BytesIO(data)
        file.seek(tags.next)
        tags.load(file)
        bits, kinds = tags.get(BITSPERSAMPLE, (1,)), tags.get(SAMPLEFORMAT, (1,))
        channels = f" in {len(bits)} channels" if len(bits) > 1 else ""
        return f"{max(bits)}-bit {_FORMATS[max(kinds)]}{channels}"
    except Exception:  # of a damaged header Pillow raises whatever it makes of it
        return None


@dataclass(frozen=True)
class GreyValues:
    """The grey values of a TIFF, of which Pillow's mode does not tell all.

    Attributes:
        bits: of each value.
        signed: whether they are signed whole numbers.
        inverted: whether the least of them is white: Pillow inverts values of 8 bits, but no others.
    """

    bits: int = 16
    signed: bool = False
    inverted: bool = False

    @classmethod
    def of(cls, image: Image.Image) -> GreyValues:
        """Those of an image that was opened; of another format the default."""
        tags = getattr(image, "tag_v2", None)
        if tags is None:
            return cls()
        kinds, bits = tags.get(SAMPLEFORMAT, (1,)), tags.get(BITSPERSAMPLE, (1,))
        return cls(max(bits), tuple(kinds) == (2,), tags.get(PHOTOMETRIC_INTERPRETATION) == 0)

    def hides_sign(self, mode: str) -> bool:
        """Whether Pillow has read signed values as if they were not, in this mode."""
        return mode == "L" and self.bits == 8 and self.signed

    def restored(self, image: Image.Image) -> NDArray[np.generic]:
        """(H, W) the values of a grey image as they stand in the file."""
        values = np.asarray(image)
        if self.hides_sign(image.mode):
            return values.view(np.int8)
        return values.view(np.uint32) if image.mode == "I" and self.bits == 32 and not self.signed else values


def correct_planes(image: Image.Image) -> None:
    """Has Pillow decode a TIFF right whose header says that each channel has a plane of its own.

    By itself it takes each byte of such 16-bit values for one; and of a single channel, where it says nothing, it
    forgets how many bits there are and whether the least value is white.

    Args:
        image: opened, and not decoded yet.
    """
    tags = getattr(image, "tag_v2", None)
    if tags is None or tags.get(PLANAR_CONFIGURATION) != 2 or not image.tile:  # type: ignore[attr-defined]
        return
    if tags.get(SAMPLESPERPIXEL, 1) == 1:
        tags[PLANAR_CONFIGURATION] = 1
        image._setup()  # type: ignore[attr-defined]
    elif set(tags.get(BITSPERSAMPLE, ())) == {16}:
        order = "B" if tags.prefix == b"MM" else "L"
        image.tile = [  # type: ignore[attr-defined]
            getattr(tile, "_make", tuple)((*tile[:3], (f"{tile[3][0]};16{order}", *tile[3][1:])))
            if tile[0] == "raw"
            else tile
            for tile in image.tile  # type: ignore[attr-defined]
        ]
