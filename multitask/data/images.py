"""From a picture's file to pixels: one function for training, validation and test."""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal, Protocol

import numpy as np
import psutil
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import model_validator
from torch import Tensor

from multitask.arrays import kept
from multitask.errors import UserError
from multitask.files import content_digest
from multitask.settings import Fraction, Settings, variants

Pixels = NDArray[np.uint8]

_VERSION = 1
"""Of what ``Preprocessing.load`` does; with another, pixels that were kept are not used any more."""
_JPEG = b"\xff\xd8\xff"
_EXIF = b"Exif\0\0"
_HEADER_BYTES = 65_536 * 2  # EXIF is in one of the first segments, none of which is longer than 64 KiB
_ORIENTATION = 0x0112  # the EXIF tag
_SIDEWAYS = range(5, 9)


class WholeSettings(Settings):
    """No crop: the whole picture."""

    name: Literal["none"] = "none"

    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom as fractions of the picture's width and height."""
        return 0.0, 0.0, 1.0, 1.0


class CentreSettings(Settings):
    """A fixed box, as fractions of the picture: where the faces stand in pictures that are all framed alike."""

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

    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom as fractions of the picture's width and height."""
        return self.left, self.top, self.right, self.bottom


AnyCrop = Annotated[WholeSettings | CentreSettings, *variants("none")]
"""The table of crops."""


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
        # In place: a third of the time of one call that would convert as it goes.
        return images.float().mul_(self._scale).add_(self._shift).permute(0, 3, 1, 2)

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
            return self._fit(self._decode(path.read_bytes()))
        except FileNotFoundError:
            raise UserError(f"{path}: no such file") from None
        except Exception as error:  # Pillow's decoders raise whatever a damaged file makes of them.
            if isinstance(error, MemoryError):
                raise
            reason = "not a picture" if isinstance(error, UnidentifiedImageError) else str(error)
            raise UserError(f"{path}: cannot be read as a picture: {reason}") from None

    def _decode(self, data: bytes) -> Image.Image:
        """A picture's file as RGB, upright, a JPEG at the smallest scale that still covers the target."""
        left, top, right, bottom = self.crop.box()
        width, height = math.ceil(self.size[1] / (right - left)), math.ceil(self.size[0] / (bottom - top))
        if data.startswith(_JPEG) and _EXIF not in data[:_HEADER_BYTES]:
            try:
                pixels = simplejpeg.decode_jpeg(data, min_height=height, min_width=width)
                return Image.fromarray(pixels)
            except ValueError:
                pass  # CMYK, say, or damaged: Pillow reads it or says why not
        with Image.open(io.BytesIO(data)) as image:
            orientation = image.getexif().get(_ORIENTATION, 1)
            image.draft("RGB", (height, width) if orientation in _SIDEWAYS else (width, height))
            image.load()
            return _rgb(ImageOps.exif_transpose(image) if orientation != 1 else image)

    def _fit(self, image: Image.Image) -> Pixels:
        """The part of a decoded picture that is used, at the target's size."""
        height, width = self.size
        box = _cover(image.width, image.height, self.crop.box(), width / height)
        if box == (0, 0, width, height) == (0, 0, image.width, image.height):
            return np.array(image)
        return np.array(image.resize((width, height), Image.Resampling.BILINEAR, box=box))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would cut off at 255 rather than scale
        image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode == "P" and isinstance(image.info.get("transparency"), bytes):
        image = image.convert("RGBA")  # Pillow warns if it is to lose them in one step
    return image if image.mode == "RGB" else image.convert("RGB")


def _cover(
    width: int, height: int, crop: tuple[float, float, float, float], aspect: float
) -> tuple[float, float, float, float]:
    """The largest box of the given aspect (width / height) in the middle of the crop, in pixels."""
    left, top, right, bottom = crop[0] * width, crop[1] * height, crop[2] * width, crop[3] * height
    box_width = min(right - left, (bottom - top) * aspect)
    box_height = box_width / aspect
    # The limits are for rounding: Pillow refuses a box that leaves the picture by the last bit of a float.
    x, y = max(0.0, (left + right - box_width) / 2), max(0.0, (top + bottom - box_height) / 2)
    return x, y, min(x + box_width, width), min(y + box_height, height)


def pixels_key(contents: Iterable[bytes], preprocessing: Preprocessing) -> str:
    """What the pixels of some pictures depend on, as a word: alike for the same pixels, and for no others.

    Args:
        contents: a digest of each picture's file, in order.
        preprocessing: how they become pixels.
    """
    digest = hashlib.blake2b(digest_size=16)
    decoders = [f"{name} {version(name)}" for name in ("pillow", "simplejpeg")]
    digest.update(repr((_VERSION, preprocessing.size, preprocessing.crop.box(), decoders)).encode())
    for content in contents:
        digest.update(content)
    return digest.hexdigest()


@dataclass(frozen=True)
class SharedPixels:
    """Where pixels are kept for other processes and runs, and by what they are found again.

    Attributes:
        folder: it is made if it is not there.
        contents: a digest of each picture's file, in order.
    """

    folder: Path
    contents: Sequence[bytes]


class Pictures:
    """The pixels of N pictures: decoded once and kept where memory allows, else decoded at every look.

    Args:
        paths: N files.
        preprocessing: how they become pixels.
        cache: ``memory``, ``none``, or ``auto``: in memory if that takes at most half of what is free.
        on_done: called with the number of pictures read so far, from the calling thread.
        shared: where the pixels are kept for other processes and runs, unless ``cache`` is ``none``; None: they are in
            this process's memory only.

    Raises:
        UserError: a picture cannot be read (with ``none``: when it is looked at), or has changed.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        preprocessing: Preprocessing,
        cache: Literal["auto", "memory", "none"] = "auto",
        on_done: Callable[[int], None] | None = None,
        shared: SharedPixels | None = None,
    ) -> None:
        self._paths = paths
        self._preprocessing = preprocessing
        self._pixels: Pixels | None = None
        self._on_done = on_done or (lambda done: None)
        if shared is not None and cache != "none":
            # Whatever memory there is: what is mapped from a file can be dropped again.
            path = shared.folder / f"pixels-{pixels_key(shared.contents, preprocessing)}.npy"
            self._pixels = kept(path, len(paths), lambda: self._decode_unchanged(shared))
            return
        num_bytes = len(paths) * preprocessing.size[0] * preprocessing.size[1] * 3
        if cache == "memory" or (cache == "auto" and num_bytes <= psutil.virtual_memory().available / 2):
            self._pixels = np.empty((len(paths), *preprocessing.size, 3), dtype=np.uint8)
            for index, picture in enumerate(self._decode()):
                self._pixels[index] = picture

    def _decode_unchanged(self, shared: SharedPixels) -> Iterator[Pixels]:
        for picture in self._decode():
            yield picture[None]
        for path, content in zip(self._paths, shared.contents, strict=True):
            if content_digest(path) != content:
                raise UserError(f"{path}: changed while the pictures were read")

    def _decode(self) -> Iterator[Pixels]:
        # Pillow decodes and resizes without holding the interpreter's lock, so threads are enough.
        with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
            try:
                for done, picture in enumerate(pool.map(self._preprocessing.load, self._paths)):
                    yield picture
                    self._on_done(done + 1)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Pixels:
        """(H, W, 3) uint8; not to be written to."""
        if self._pixels is not None:
            return self._pixels[index]
        return self._preprocessing.load(self._paths[index])
