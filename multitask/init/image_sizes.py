"""A size of the network's input, and a fit that cuts nothing, from a sample of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from multitask.data.fit import excess
from multitask.data.framing import spread
from multitask.data.headers import read_headers
from multitask.errors import UserError
from multitask.utils.strings import Strings

MAX_SAMPLED = 400
_STEP_PX = 8
_LEAST_PX = 32
_WHOLE = (0.0, 0.0, 1.0, 1.0)
_MOST_OBLONG = 2.0
_NEGLIGIBLE = 0.01


@dataclass(frozen=True)
class Sizes:
    """The sizes of a sample of images.

    Attributes:
        sizes: width and height of each in pixels.
        num_unread: how many could not be read.
    """

    sizes: tuple[tuple[int, int], ...]
    num_unread: int

    @property
    def median(self) -> tuple[int, int]:
        """The medians of the widths and of the heights, in pixels."""
        width, height = np.median(np.array(self.sizes), axis=0)
        return int(width), int(height)

    def input_size(self, longest_px: int) -> tuple[int, int]:
        """Height and width of an input of the images' shape, no longer than ``longest_px`` nor than they are."""
        ratio = math.exp(float(np.mean([math.log(width / height) for width, height in self.sizes])))
        ratio = min(max(ratio, 1 / _MOST_OBLONG), _MOST_OBLONG)
        longest = max(_LEAST_PX, min(longest_px, _stepped(max(self.median))))
        # Somewhat smaller, if that is the images' very shape.
        sizes = [_shaped(length, ratio) for length in range(longest, max(_LEAST_PX, longest * 3 // 4) - 1, -_STEP_PX)]
        return min(sizes, key=lambda size: (self.cut(size) > 0, -max(size)))

    def cut(self, size: tuple[int, int]) -> int:
        """How many of the sample an input of that height and width would be cut of by ``fit: crop``."""
        aspect = size[1] / size[0]
        return sum(abs(excess(width, height, _WHOLE, aspect)) >= _NEGLIGIBLE for width, height in self.sizes)


def sample_sizes(root: Path, images: Strings | Sequence[str]) -> Sizes:
    """The sizes of a sample, spread evenly.

    Raises:
        UserError: none can be read.
    """
    paths = [root / images[index] for index in spread(len(images), MAX_SAMPLED)]
    headers = read_headers(paths)
    known = tuple((header.width_px, header.height_px) for header in headers if header is not None)
    if not known:
        raise UserError(f"{paths[0]}: cannot be read as an image (nor any other of {len(paths):,} that were tried)")
    return Sizes(known, len(paths) - len(known))


def _shaped(longest: int, ratio: float) -> tuple[int, int]:
    """Height and width of about that ratio (width / height)."""
    height, width = (longest, longest * ratio) if ratio <= 1 else (longest / ratio, longest)
    return max(_LEAST_PX, _stepped(height)), max(_LEAST_PX, _stepped(width))


def _stepped(length: float) -> int:
    return round(length / _STEP_PX) * _STEP_PX
