"""Preprocessing of an image in several ways at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from multitask.data.crop import Box
from multitask.data.images import Pixels, Preprocessing
from multitask.data.tiles import SCALED, TileSettings, canvas_size, tile_slices


class TiledPreprocessing(Preprocessing):
    """Each tile is to the bit what its own preprocessing makes of the image; what no tile covers is black.

    Args:
        tiles: at least two.

    Raises:
        UserError: a crop needs a model that cannot be used.
    """

    def __init__(self, tiles: Sequence[TileSettings]) -> None:
        self._parts = [tile.preprocessing() for tile in tiles]
        self._slices = tile_slices(tiles)
        # A box that is given is for the crops that cannot find one.
        needing = [part for part in self._parts if part.crop.boxed and part.detector is None]
        leading = (needing or [part for part in self._parts if part.crop.boxed] or self._parts)[0]
        super().__init__(canvas_size(tiles), leading.crop, *SCALED, fit=leading.fit, decoding=leading.decoding)

    def load(self, path: Path, box: Box | None = None) -> Pixels:
        """As ``Preprocessing.load``."""
        return self._tiled(lambda part, own: part.load(path, own), box)

    def load_bytes(self, data: bytes, name: str, box: Box | None = None) -> Pixels:
        """As ``Preprocessing.load_bytes``."""
        return self._tiled(lambda part, own: part.load_bytes(data, name, own), box)

    def convert(self, image: Image.Image, name: str, box: Box | None = None) -> Pixels:
        """As ``Preprocessing.convert``."""
        return self._tiled(lambda part, own: part.convert(image, name, own), box)

    def _tiled(self, load: Callable[[Preprocessing, Box | None], Pixels], box: Box | None) -> Pixels:
        canvas = np.zeros((*self.size, 3), dtype=np.uint8)
        for part, where in zip(self._parts, self._slices, strict=True):
            canvas[where] = load(part, box if part.detector is None else None)
        return canvas
