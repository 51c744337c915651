"""Conversion of any image mode to 8-bit RGB, by the type of the file and never by the pixels of one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multitask.data.formats import WHITE
from multitask.data.tiff_samples import GreyValues
from multitask.errors import UserError

_PADDED = ("BMP", "DIB")
"""Formats whose fourth channel is often no alpha but zeros, whatever the header calls it; viewers then ignore it."""
_GREY = GreyValues()
_OF_16_BITS = ("PNG", "PPM")
"""Formats whose mode ``I`` holds whole numbers from 0 to 65,535, whatever Pillow keeps them in."""


@dataclass(frozen=True)
class Decoding:
    """The conversion of images that are not plain 8-bit ones.

    Attributes:
        background: RGB, the colour behind transparent pixels.
        value_range: the values that become black and white in grey images of more than 8 bits; None: 0 to 65,535 of
            unsigned 16-bit ones and 0 to 1 of floats; others are refused, since their range is not known.
    """

    background: tuple[int, int, int] = WHITE
    value_range: tuple[float, float] | None = None

    def to_rgb(self, image: Image.Image, form: str | None, grey: GreyValues = _GREY) -> Image.Image:
        """A decoded image as RGB.

        Args:
            image: of any mode.
            form: the format of its file, as Pillow calls it.
            grey: what its file says of grey values that are not plain 8-bit ones.

        Raises:
            UserError: its values are not in the range that they must be in.
        """
        transparent = image.info.get("transparency")
        if image.mode.startswith("I") or image.mode == "F" or grey.hides_sign(image.mode):
            values = grey.restored(image)
            lightness = self._lightness(values, image.mode, form, grey.bits)
            image = Image.fromarray(255 - lightness if grey.inverted else lightness)
            if isinstance(transparent, int):  # a 16-bit PNG's one value that is not seen
                image.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
        if image.has_transparency_data:
            return self._composited(image, form in _PADDED)
        return image if image.mode == "RGB" else image.convert("RGB")

    def _composited(self, image: Image.Image, may_be_padded: bool) -> Image.Image:
        rgba = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
        alphas = rgba.getchannel("A").getextrema()
        if alphas == (255, 255) or (may_be_padded and alphas == (0, 0)):
            return rgba.convert("RGB")
        under = Image.new("RGBA", rgba.size, (*self.background, 255))
        return Image.alpha_composite(under, rgba).convert("RGB")

    def _lightness(self, values: NDArray[Any], mode: str, form: str | None, bits: int) -> NDArray[np.uint8]:
        of_16_bits = mode.startswith("I;16") or form in _OF_16_BITS
        if mode == "F" and not np.isfinite(values).all():
            raise UserError("holds values that are no numbers (NaN or infinite); replace them")
        if self.value_range is None and mode != "F" and of_16_bits:
            return (values >> bits - 8).clip(0, 255).astype(np.uint8)
        low, high = self.value_range or (0.0, 1.0)
        if self.value_range is None:
            _check_told(values, mode)
        scaled = (values.astype(np.float64) - low) * (255 / (high - low))
        return np.rint(scaled).clip(0, 255).astype(np.uint8)


def _check_told(values: NDArray[Any], mode: str) -> None:
    """Refuses values outside the range that their type implies."""
    found = f"from {values.min():g} to {values.max():g}"
    how = "set data.value_range to what is black and what is white in all images, as [0, 255]"
    if mode != "F":
        raise UserError(f"holds signed or 32-bit whole numbers ({found}), whose range nothing tells; {how}")
    if values.min() < 0 or values.max() > 1:
        raise UserError(f"holds floats beyond 0 to 1 ({found}); {how}")
