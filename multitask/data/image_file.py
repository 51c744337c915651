"""An image's file: opened by the formats that are allowed, decoded upright, or refused in one line."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

from multitask.data.colours import Decoding
from multitask.data.formats import FORMATS, MAGIC_BYTES, sniff, why_unread
from multitask.data.tiff_samples import GreyValues, correct_planes, samples_text
from multitask.errors import UserError
from multitask.utils.files import absent, check_regular
from multitask.utils.tar_files import read_member

MAX_PIXELS = 178_956_970
"""Of an image: beyond it Pillow, too, takes a file for a decompression bomb."""
_JPEG = b"\xff\xd8\xff"
_EXIF = b"Exif\0\0"
_XMP_ROTATION = b"tiff:Orientation"
"""By which editors that write no EXIF say how an image is turned; Pillow reads both."""
_HEADER_BYTES = 65_536 * 2  # EXIF is in one of the first segments, none of which is longer than 64 KiB
_ORIENTATION = 0x0112  # the EXIF tag
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257  # tags, too
_SIDEWAYS = range(5, 9)

# Pillow warns from half of its limit on, which helps nobody who has such images.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@cache
def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def open_image(file: Path | io.BytesIO) -> Image.Image:
    """Opens an image and reads its header; by its content, and only in the formats of ``FORMATS``.

    Raises:
        OSError: it is no image, or cannot be opened.
    """
    return Image.open(file, formats=_formats())


def _orientation(image: Image.Image) -> int:
    orientation: int = image.getexif().get(_ORIENTATION, 1)
    return orientation


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height in pixels of an image that was opened, once its EXIF rotation is applied."""
    width, height = image.size
    if image.format == "TIFF":  # newer versions of Pillow have turned its size already, older ones have not
        tags = image.tag_v2  # type: ignore[attr-defined]
        width, height = tags[_TIFF_WIDTH], tags[_TIFF_HEIGHT]
    return (height, width) if _orientation(image) in _SIDEWAYS else (width, height)


class ImageFile:
    """An image's file of which the header was read.

    Args:
        data: its content.
        decoding: how it becomes RGB.

    Attributes:
        width: of the upright image, in pixels.
        height: likewise.
    """

    def __init__(self, data: bytes, decoding: Decoding) -> None:
        self._data = data
        self._decoding = decoding
        self._image: Image.Image | None = None
        """As opened, for the first that wants it: a PNG is decoded to find its EXIF, and should not be again."""
        head = data[:_HEADER_BYTES]
        self._fast = data.startswith(_JPEG) and _EXIF not in head and _XMP_ROTATION not in head
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
        image = open_image(io.BytesIO(self._data))
        correct_planes(image)
        self._orientation = _orientation(image)
        self.width, self.height = upright_size(image)
        return image

    def decode(self, width: int, height: int) -> Image.Image:
        """The whole image as RGB, upright; a JPEG at the smallest scale that still covers ``width`` x ``height``."""
        if self._fast:
            try:
                return Image.fromarray(simplejpeg.decode_jpeg(self._data, min_height=height, min_width=width))
            except ValueError:
                self._fast = False  # CMYK, say, or damaged: Pillow reads it or says why not
        with self._image or self._open() as image:
            self._image = None  # an image is decoded at one scale only
            image.draft("RGB", (height, width) if self._orientation in _SIDEWAYS else (width, height))
            image.load()
            upright = ImageOps.exif_transpose(image) if self._orientation != 1 else image
            return self._decoding.to_rgb(upright, image.format, GreyValues.of(image))


class DecodedImage:
    """An image in memory, read as an ``ImageFile`` is.

    Args:
        image: of any mode; where it was opened from a file with an EXIF rotation, that is applied.
        decoding: how it becomes RGB.

    Attributes:
        width: of the upright image, in pixels.
        height: likewise.
    """

    def __init__(self, image: Image.Image, decoding: Decoding) -> None:
        correct_planes(image)
        upright = ImageOps.exif_transpose(image) if _orientation(image) != 1 else image
        self._image = decoding.to_rgb(upright, image.format, GreyValues.of(image))
        self.width, self.height = self._image.size

    def decode(self, width: int, height: int) -> Image.Image:
        """The whole image as RGB, upright, at its own size."""
        return self._image


T = TypeVar("T")


def read_image(path: Path, decoding: Decoding, use: Callable[[ImageFile], T]) -> T:
    """The result of ``use`` on an image file.

    Raises:
        UserError: the file is missing, no file, damaged or no image, or ``use`` raises it.
    """
    data = read_member(path)
    if data is None:
        data = _read_file(path)
    return read_bytes(data, str(path), decoding, use)


def _read_file(path: Path) -> bytes:
    check_regular(path)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise absent(path) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read as an image: {error}") from None


def read_bytes(data: bytes, name: str, decoding: Decoding, use: Callable[[ImageFile], T]) -> T:
    """The result of ``use`` on the content of an image file.

    Raises:
        UserError: it is damaged or no image, or ``use`` raises it; the line begins with ``name``.
    """
    try:
        return use(ImageFile(data, decoding))
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes of them.
        if isinstance(error, MemoryError):
            raise
        reason = _why_unidentified(data) if isinstance(error, UnidentifiedImageError) else str(error)
        raise UserError(f"{name}: cannot be read as an image: {reason}") from None


def _why_unidentified(data: bytes) -> str:
    if sniff(data[:MAGIC_BYTES]) == "TIFF" and (samples := samples_text(data)) is not None:
        return (
            f"it is a TIFF file of {samples} that is damaged, or of a kind that Pillow does not read; save it as "
            "32-bit floats or 16-bit whole numbers in 1 channel, or as PNG"
        )
    return why_unread(data)


def read_decoded(image: Image.Image, name: str, decoding: Decoding, use: Callable[[DecodedImage], T]) -> T:
    """The result of ``use`` on an image in memory.

    Raises:
        UserError: it cannot be decoded, or ``use`` raises it; the line begins with ``name``.
    """
    try:
        return use(DecodedImage(image, decoding))
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    except Exception as error:  # an image that is still to be read raises whatever a damaged file makes of it
        if isinstance(error, MemoryError):
            raise
        raise UserError(f"{name}: cannot be read as an image: {error}") from None
