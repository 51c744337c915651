"""From a picture's file to pixels: one function for training, validation and test."""

from __future__ import annotations

import hashlib
import io
import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from multitask.data.crop import Box, CropSettings, Region, WholeSettings
from multitask.data.faces import FaceDetector
from multitask.errors import UserError

Pixels = NDArray[np.uint8]

_VERSION = 2
"""Of what ``Preprocessing.load`` does; with another, pixels that were kept are not used any more."""
MAX_PIXELS = 178_956_970
"""Of a picture: beyond it Pillow, too, takes a file for a decompression bomb."""
_JPEG = b"\xff\xd8\xff"
_EXIF = b"Exif\0\0"
_HEADER_BYTES = 65_536 * 2  # EXIF is in one of the first segments, none of which is longer than 64 KiB
_ORIENTATION = 0x0112  # the EXIF tag
_SIDEWAYS = range(5, 9)

# Pillow warns from half of its limit on, which helps nobody who has such pictures.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class Normaliser(Protocol):
    """What makes a network's input of what the batches hold."""

    def normalise(self, images: Tensor) -> Tensor:
        """The network's input, of B pictures or of the features that stand for them, on any device."""


class Preprocessing:
    """Decodes, crops, resizes and normalises: the same at training, validation and test.

    The cropped picture is scaled until it covers the target and its longer side is cut evenly at both ends.
    Augmentation comes between ``load`` and ``normalise``.

    Args:
        size: height and width in pixels of what comes out.
        crop: which part of the picture is used.
        mean: of each channel, of pixels from 0 to 1; what the backbone was pretrained with.
        std: likewise.

    Raises:
        UserError: the crop needs a model that cannot be used.
    """

    def __init__(
        self,
        size: tuple[int, int],
        crop: CropSettings | None = None,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
    ) -> None:
        self.size = size
        self.crop = crop or WholeSettings()
        self.detector = self.crop.detector()
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
        # In place: a third of the time of one call that would convert as it goes.
        return images.float().mul_(self._scale).add_(self._shift).permute(0, 3, 1, 2)

    def load(self, path: Path, box: Box | None = None) -> Pixels:
        """A picture's pixels.

        Args:
            path: its file, in any format and mode that Pillow reads; an EXIF rotation is applied.
            box: (4,) its own box, in pixels of the upright picture, NaN where unknown; None: the crop does without or,
                where it can, finds it.

        Returns:
            (H, W, 3) uint8, RGB.

        Raises:
            UserError: the file is missing, truncated, too large or no picture; its box is no part of it.
        """
        return _read(path, lambda file: self._fit(file, self._locate(file) if box is None and self.detector else box))

    def locate(self, path: Path) -> Box:
        """A picture's box, as the crop's detector finds it.

        Returns:
            (4,) left, top, right, bottom in pixels of the upright picture, NaN where there is none.

        Raises:
            UserError: as of ``load``.
        """
        return _read(path, self._locate)

    def _locate(self, file: _File) -> Box:
        assert self.detector is not None
        found = np.full(4, np.nan)
        for side in (self.detector.detect_px, self.detector.detect_px // 2):
            scale = min(1.0, side / max(file.width, file.height))
            width, height = max(1, round(file.width * scale)), max(1, round(file.height * scale))
            image = file.decode(width, height)
            if image.size != (width, height):
                image = image.resize((width, height), Image.Resampling.BILINEAR)
            found = self.detector.find(np.asarray(image))
            if not np.isnan(found).any():
                return found * np.array([file.width / width, file.height / height] * 2)
            # A second look from further away, since YuNet misses faces that fill the picture.
        return found

    def _fit(self, file: _File, box: Box | None) -> Pixels:
        """The part of a picture that is used, at the target's size."""
        height, width = self.size
        left, top, right, bottom = region = self.crop.region(file.width, file.height, width / height, box)
        image = file.decode(math.ceil(width / (right - left)), math.ceil(height / (bottom - top)))
        part = _cover(image.width, image.height, region, width / height)
        if part == (0, 0, width, height) == (0, 0, image.width, image.height):
            return np.array(image)
        return np.array(image.resize((width, height), Image.Resampling.BILINEAR, box=part))


class _File:
    """A picture's file of which the header was read.

    Attributes:
        width: of the upright picture, in pixels.
        height: likewise.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._image: Image.Image | None = None
        """As opened, for the first that wants it: a PNG is decoded to find its EXIF, and should not be again."""
        self._fast = data.startswith(_JPEG) and _EXIF not in data[:_HEADER_BYTES]
        if self._fast:
            try:
                self.height, self.width, *_ = simplejpeg.decode_jpeg_header(data)
            except ValueError:
                self._fast = False
        if not self._fast:
            self._image = self._open()
        if self.width * self.height > MAX_PIXELS:
            raise ValueError(f"{self.width} x {self.height} pixels are more than the limit of {MAX_PIXELS:,} pixels")

    def _open(self) -> Image.Image:
        image = Image.open(io.BytesIO(self._data))
        self._orientation = image.getexif().get(_ORIENTATION, 1)
        self.width, self.height = image.size[:: -1 if self._orientation in _SIDEWAYS else 1]
        return image

    def decode(self, width: int, height: int) -> Image.Image:
        """The whole picture as RGB, upright; a JPEG at the smallest scale that still covers ``width`` x ``height``."""
        if self._fast:
            try:
                return Image.fromarray(simplejpeg.decode_jpeg(self._data, min_height=height, min_width=width))
            except ValueError:
                self._fast = False  # CMYK, say, or damaged: Pillow reads it or says why not
        with self._image or self._open() as image:
            self._image = None  # a picture is decoded at one scale only
            image.draft("RGB", (height, width) if self._orientation in _SIDEWAYS else (width, height))
            image.load()
            return _rgb(ImageOps.exif_transpose(image) if self._orientation != 1 else image)


T = TypeVar("T")


def _read(path: Path, use: Callable[[_File], T]) -> T:
    """What ``use`` makes of a picture's file.

    Raises:
        UserError: the file is missing, damaged or no picture, or ``use`` raises it.
    """
    try:
        return use(_File(path.read_bytes()))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes of them.
        if isinstance(error, MemoryError):
            raise
        reason = "not a picture" if isinstance(error, UnidentifiedImageError) else str(error)
        raise UserError(f"{path}: cannot be read as a picture: {reason}") from None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would cut off at 255 rather than scale
        image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode == "P" and isinstance(image.info.get("transparency"), bytes):
        image = image.convert("RGBA")  # Pillow warns if it is to lose them in one step
    return image if image.mode == "RGB" else image.convert("RGB")


def _cover(width: int, height: int, crop: Region, aspect: float) -> tuple[float, float, float, float]:
    """The largest box of the given aspect (width / height) in the middle of the crop, in pixels."""
    left, top, right, bottom = crop[0] * width, crop[1] * height, crop[2] * width, crop[3] * height
    box_width = min(right - left, (bottom - top) * aspect)
    box_height = box_width / aspect
    # The limits are for rounding: Pillow refuses a box that leaves the picture by the last bit of a float.
    x, y = max(0.0, (left + right - box_width) / 2), max(0.0, (top + bottom - box_height) / 2)
    return x, y, min(x + box_width, width), min(y + box_height, height)


def pixels_key(
    contents: Iterable[bytes], preprocessing: Preprocessing, boxes: NDArray[np.float64] | None = None
) -> str:
    """What the pixels of some pictures depend on, as a word: alike for the same pixels, and for no others.

    Args:
        contents: a digest of each picture's file, in order.
        preprocessing: how they become pixels.
        boxes: (N, 4) the pictures' boxes, where the crop does not find them itself.
    """
    crop, detector = preprocessing.crop, preprocessing.detector
    parts = (_VERSION, preprocessing.size, crop.key(), detector and detector.key(), decoders())
    given = boxes if crop.boxed and detector is None else None
    return content_key(parts, contents, b"" if given is None else given.tobytes())


def boxes_key(contents: Iterable[bytes], detector: FaceDetector) -> str:
    """What the boxes that a detector finds in some pictures depend on, as a word."""
    return content_key((_VERSION, detector.key(), decoders()), contents)


def decoders() -> list[str]:
    """What decodes and resizes, and its version."""
    return [f"{name} {version(name)}" for name in ("pillow", "simplejpeg")]


def content_key(parts: object, contents: Iterable[bytes], more: bytes = b"") -> str:
    """A word for plain values and files' digests."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=16)
    for content in (*contents, more):
        digest.update(content)
    return digest.hexdigest()
