"""From a picture's file to pixels: one function for training, validation and test."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import Field, model_validator
from torch import Tensor

from multitask.errors import UserError
from multitask.settings import Settings, variants

Pixels = NDArray[np.uint8]

_ORIENTATION = 0x0112  # the EXIF tag
_SIDEWAYS = range(5, 9)


class WholeSettings(Settings):
    """No crop: the whole picture."""

    name: Literal["none"] = "none"

    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom as fractions of the picture's width and height."""
        return 0.0, 0.0, 1.0, 1.0


Edge = Annotated[float, Field(ge=0, le=1)]


class CentreSettings(Settings):
    """A fixed box, as fractions of the picture: where the faces stand in pictures that are all framed alike."""

    name: Literal["centre"] = "centre"
    left: Edge = 0.0
    top: Edge = 0.0
    right: Edge = 1.0
    bottom: Edge = 1.0

    @model_validator(mode="after")
    def _check(self) -> CentreSettings:
        if self.left >= self.right or self.top >= self.bottom:
            raise ValueError(
                f"left must be less than right and top less than bottom, found {self.left}, {self.right}, {self.top}, "
                f"{self.bottom}"
            )
        return self

    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom as fractions of the picture's width and height."""
        return self.left, self.top, self.right, self.bottom


AnyCrop = Annotated[WholeSettings | CentreSettings, *variants("none")]
"""The table of crops."""


class Preprocessing:
    """Decodes, crops, resizes and normalises: the same at training, validation and test.

    The cropped picture is scaled until it covers the target and its longer side is cut evenly at both ends.
    Augmentation comes between ``load`` and ``normalise``.

    Args:
        size: height and width in pixels of what comes out.
        crop: which part of the picture is used.
        mean: of each channel, of pixels from 0 to 1; what the backbone was pretrained with.
        std: likewise.
    """

    def __init__(
        self,
        size: tuple[int, int],
        crop: WholeSettings | CentreSettings | None = None,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
    ) -> None:
        self.size = size
        self.crop = crop or WholeSettings()
        self._scale = torch.tensor([1 / (255 * s) for s in std])
        self._shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)])

    def normalise(self, images: Tensor) -> Tensor:
        """The network's input.

        Args:
            images: (B, H, W, 3) uint8, on any device.

        Returns:
            (B, 3, H, W) float32, channels last in memory.
        """
        if self._scale.device != images.device:
            self._scale, self._shift = self._scale.to(images.device), self._shift.to(images.device)
        return torch.addcmul(self._shift, images, self._scale).permute(0, 3, 1, 2)

    def load(self, path: Path) -> Pixels:
        """A picture's pixels.

        Args:
            path: its file, in any format and mode that Pillow reads; an EXIF rotation is applied.

        Returns:
            (H, W, 3) uint8, RGB.

        Raises:
            UserError: the file is missing, truncated or no picture.
        """
        try:
            with Image.open(path) as image:
                return self._pixels(image)
        except FileNotFoundError:
            raise UserError(f"{path}: no such file") from None
        except Exception as error:  # Pillow's decoders raise whatever a damaged file makes of them.
            if isinstance(error, MemoryError):
                raise
            reason = "not a picture" if isinstance(error, UnidentifiedImageError) else str(error)
            raise UserError(f"{path}: cannot be read as a picture: {reason}") from None

    def _pixels(self, image: Image.Image) -> Pixels:
        height, width = self.size
        left, top, right, bottom = self.crop.box()
        sideways = image.format == "JPEG" and image.getexif().get(_ORIENTATION) in _SIDEWAYS
        # A JPEG is decoded at the smallest scale (1/2, 1/4, 1/8) that still covers the target: most of the speed.
        full_width = int(np.ceil(width / (right - left)))
        full_height = int(np.ceil(height / (bottom - top)))
        image.draft("RGB", (full_height, full_width) if sideways else (full_width, full_height))
        upright: Image.Image = ImageOps.exif_transpose(image) if image.getexif().get(_ORIENTATION, 1) != 1 else image
        if upright.mode != "RGB":
            upright = upright.convert("RGB")
        box = _cover(upright.width, upright.height, (left, top, right, bottom), width / height)
        if box == (0, 0, width, height) == (0, 0, upright.width, upright.height):
            return np.array(upright)
        return np.array(upright.resize((width, height), Image.Resampling.BILINEAR, box=box))


def _cover(
    width: int, height: int, crop: tuple[float, float, float, float], aspect: float
) -> tuple[float, float, float, float]:
    """The largest box of the given aspect (width / height) in the middle of the crop, in pixels."""
    left, top, right, bottom = crop[0] * width, crop[1] * height, crop[2] * width, crop[3] * height
    box_width = min(right - left, (bottom - top) * aspect)
    box_height = box_width / aspect
    x, y = (left + right - box_width) / 2, (top + bottom - box_height) / 2
    return x, y, min(x + box_width, width), min(y + box_height, height)


class Pictures:
    """The pixels of N pictures: decoded once and kept where memory allows, else decoded at every look.

    Args:
        paths: N files.
        preprocessing: how they become pixels.
        cache: ``memory``, ``none``, or ``auto``: in memory if that takes at most half of what is free.
        on_done: called with the number of pictures read so far, from the calling thread.

    Raises:
        UserError: a picture cannot be read (with ``none``: when it is looked at).
    """

    def __init__(
        self,
        paths: Sequence[Path],
        preprocessing: Preprocessing,
        cache: Literal["auto", "memory", "none"] = "auto",
        on_done: Callable[[int], None] | None = None,
    ) -> None:
        self._paths = paths
        self._preprocessing = preprocessing
        self._pixels: Pixels | None = None
        num_bytes = len(paths) * preprocessing.size[0] * preprocessing.size[1] * 3
        if cache == "memory" or (cache == "auto" and num_bytes <= psutil.virtual_memory().available / 2):
            self._pixels = self._decode(on_done or (lambda done: None))

    def _decode(self, on_done: Callable[[int], None]) -> Pixels:
        pixels = np.empty((len(self._paths), *self._preprocessing.size, 3), dtype=np.uint8)
        # Pillow decodes and resizes without holding the interpreter's lock, so threads are enough.
        with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
            try:
                for done, picture in enumerate(pool.map(self._preprocessing.load, self._paths)):
                    pixels[done] = picture
                    on_done(done + 1)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return pixels

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Pixels:
        """(H, W, 3) uint8; not to be written to."""
        if self._pixels is not None:
            return self._pixels[index]
        return self._preprocessing.load(self._paths[index])
