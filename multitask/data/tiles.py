"""The tiles of an ensemble whose members see an image in different sizes or crops, side by side in its input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from multitask.data.crop import AnyCrop
from multitask.data.fit import FitName
from multitask.data.settings import Background, DataSettings, Side, ValueRange
from multitask.settings import Settings

if TYPE_CHECKING:
    from multitask.data.images import Preprocessing

SCALED = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
"""Mean and standard deviation by which pixels become values from 0 to 1; each member normalises these by its own."""


class TileSettings(Settings):
    """How an image becomes one tile: the keys of the ``data`` section that say how it becomes pixels."""

    image_size: tuple[Side, Side]
    crop: AnyCrop
    fit: FitName
    background: Background
    value_range: ValueRange | None

    @classmethod
    def of(cls, data: DataSettings) -> TileSettings:
        """The tile that shows an image as a ``data`` section frames it."""
        crop, fit, _ = data.framing()
        return cls(
            image_size=data.image_size,
            crop=crop,
            fit=fit,
            background=data.background,
            value_range=data.value_range,
        )

    def preprocessing(self) -> Preprocessing:
        """How an image becomes pixels, and these values from 0 to 1.

        Raises:
            UserError: the crop needs a model that cannot be used.
        """
        from multitask.data.colours import Decoding
        from multitask.data.images import Preprocessing

        decoding = Decoding(self.background, self.value_range)
        return Preprocessing(self.image_size, self.crop, *SCALED, fit=self.fit, decoding=decoding)


def canvas_size(tiles: Sequence[TileSettings]) -> tuple[int, int]:
    """Height and width of all tiles side by side.

    >>> from multitask.data.crop import WholeSettings
    >>> def tile(*size):
    ...     own = dict(image_size=size, fit="crop", background=(0, 0, 0), value_range=None)
    ...     return TileSettings(crop=WholeSettings(), **own)
    >>> canvas_size([tile(64, 48), tile(32, 32)])
    (64, 80)
    >>> tile_slices([tile(64, 48), tile(32, 32)])[1]
    (slice(0, 32, None), slice(48, 80, None))
    """
    heights, widths = zip(*(tile.image_size for tile in tiles), strict=True)
    return max(heights), sum(widths)


def tile_slices(tiles: Sequence[TileSettings]) -> list[tuple[slice, slice]]:
    """The rows and columns of each tile."""
    found, left = [], 0
    for tile in tiles:
        height, width = tile.image_size
        found.append((slice(0, height), slice(left, left + width)))
        left += width
    return found
