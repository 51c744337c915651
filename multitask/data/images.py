"""From an image's file to pixels: one function for training, validation and test."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multitask.data.align import warp
from multitask.data.colours import Decoding
from multitask.data.crop import Box, CropSettings, WholeSettings
from multitask.data.fit import FitName, inner_size
from multitask.data.image_file import DecodedImage, ImageFile, read_bytes, read_decoded, read_image
from multitask.data.placement import Placement, seen_part
from multitask.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from multitask.data.face_detector import FaceDetector
    from multitask.data.samples import Samples

Pixels = NDArray[np.uint8]

_VERSION = 5
"""Of what ``Preprocessing.load`` does; with another, pixels that were kept are not used any more."""
_ROUNDING = 1e-6
"""Of fractions of an image."""


class Normaliser(Protocol):
    """The last step of preprocessing: from the content of a batch to the network's input."""

    def normalise(self, images: Tensor) -> Tensor:
        """The network's input, of B images or of the features that stand for them, on any device."""


class Preprocessing:
    """Decodes, crops, resizes and normalises: the same at training, validation and test.

    Augmentation comes between ``load`` and ``normalise``.

    Args:
        size: height and width in pixels of what comes out.
        crop: which part of the image is used.
        mean: of each channel, of pixels from 0 to 1; what the backbone was pretrained with.
        std: likewise.
        fit: how the cropped image becomes that size where it is of another shape: scaled until it covers it, and cut
            evenly at both ends (``crop``); scaled until it is inside, the rest in the background's colour (``pad``); or
            each side scaled on its own (``stretch``).
        decoding: how what is no plain 8-bit image becomes one, and the background's colour.

    Raises:
        UserError: the crop needs a model that cannot be used.
    """

    def __init__(
        self,
        size: tuple[int, int],
        crop: CropSettings | None = None,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        *,
        fit: FitName = "crop",
        decoding: Decoding | None = None,
    ) -> None:
        self.size = size
        self.fit = fit
        self.decoding = decoding or Decoding()
        self.crop = crop or WholeSettings()
        self.detector = self.crop.detector()
        self.mean, self.std = _of_channels(mean), _of_channels(std)
        self._affine: tuple[Tensor, Tensor] | None = None

    @property
    def reads_table(self) -> bool:
        """Whether the crop needs the box or the eyes that the table of samples has for an image."""
        return self.crop.boxed and self.detector is None

    def given(self, samples: Samples) -> NDArray[np.float64] | None:
        """(N, 4) what the table has of that for N samples; None where it has nothing, or nothing is needed."""
        found: NDArray[np.float64] | None = getattr(samples, self.crop.reads) if self.reads_table else None
        return found

    def normalise(self, images: Tensor) -> Tensor:
        """The network's input.

        Args:
            images: (B, H, W, 3) uint8, on any device.

        Returns:
            (B, 3, H, W) float32, channels last in memory.
        """
        scale, shift = self._affine if self._affine is not None else self._make_affine()
        if scale.device != images.device:
            self._affine = scale, shift = scale.to(images.device), shift.to(images.device)
        # In place: a third of the time of one call that would convert as it goes. By rows: a quarter of the time of
        # broadcasting over a last axis of three.
        rows, width = images.flatten(2).float(), images.shape[2]
        return rows.mul_(scale.repeat(width)).add_(shift.repeat(width)).view(images.shape).permute(0, 3, 1, 2)

    def _make_affine(self) -> tuple[Tensor, Tensor]:
        """(3,) and (3,), by which a value from 0 to 255 is multiplied, and what is added."""
        import torch  # an exported network normalises by itself, and is used without torch

        scale = torch.tensor([1 / (255 * s) for s in self.std])
        return scale, torch.tensor([-m / s for m, s in zip(self.mean, self.std, strict=True)])

    def load(self, path: Path, box: Box | None = None) -> Pixels:
        """An image's pixels.

        Args:
            path: its file, in any of ``FORMATS`` and any mode that Pillow reads; an EXIF rotation is applied.
            box: (4,) its own box, in pixels of the upright image, NaN where unknown; None: the crop does without or,
                where it can, finds it.

        Returns:
            (H, W, 3) uint8, RGB.

        Raises:
            UserError: the file is missing, no file, truncated, too large or no image; its box is no part of it; its
                values are not in the range that they must be in.
        """

        return read_image(path, self.decoding, lambda file: self._prepare(file, box))

    def load_bytes(self, data: bytes, name: str, box: Box | None = None) -> Pixels:
        """The pixels of the content of an image's file; as ``load``, and errors begin with ``name``."""
        return read_bytes(data, name, self.decoding, lambda file: self._prepare(file, box))

    def convert(self, image: Image.Image, name: str, box: Box | None = None) -> Pixels:
        """The pixels of an image in memory; those of its file but for the scale at which a JPEG is decoded.

        Args:
            image: of any mode; an EXIF rotation that it still has is applied.
            name: what errors call it.
            box: as of ``load``.

        Returns:
            (H, W, 3) uint8, RGB.

        Raises:
            UserError: as of ``load``.
        """
        return read_decoded(image, name, self.decoding, lambda decoded: self._prepare(decoded, box))

    def locate(self, path: Path) -> Box:
        """An image's box, as the crop's detector finds it.

        Returns:
            (4,) left, top, right, bottom in pixels of the upright image, NaN where there is none.

        Raises:
            UserError: as of ``load``.
        """
        return read_image(path, self.decoding, self._locate)

    def place(self, path: Path, box: Box | None = None) -> Placement:
        """The part of an image that ``load`` takes, and where in its pixels that lies; the rest as of ``load``."""

        def of(file: ImageFile) -> Placement:
            own = self._locate(file) if box is None and self.detector else box
            self.crop.check_given(file.width, file.height, own)
            region = self.crop.region(file.width, file.height, self.size[1] / self.size[0], own)
            return Placement.of(self.fit, file.width, file.height, region, self.size, self.crop.matrix(self.size, own))

        return read_image(path, self.decoding, of)

    def _prepare(self, file: ImageFile | DecodedImage, box: Box | None) -> Pixels:
        return self._fit(file, self._locate(file) if box is None and self.detector else box)

    def _locate(self, file: ImageFile | DecodedImage) -> Box:
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
                whole: Box = found * np.array([file.width / width, file.height / height] * 2)
                return whole
            # A second look from further away, since YuNet misses faces that fill the image.
        return found

    def _fit(self, file: ImageFile | DecodedImage, box: Box | None) -> Pixels:
        """The part of an image that is used, at the target's size."""
        self.crop.check_given(file.width, file.height, box)
        if (matrix := self.crop.matrix(self.size, box)) is not None:
            return warp(file, matrix, self.size)
        height, width = self.size
        left, top, right, bottom = region = self.crop.region(file.width, file.height, width / height, box)
        if not (left < right and top < bottom and min(left, top) > -_ROUNDING and max(right, bottom) < 1 + _ROUNDING):
            raise UserError(f"data.crop: {self.crop.name} must give a part of the image as fractions, found {region}")
        inner = inner_size(self.fit, file.width, file.height, region, self.size)
        image = file.decode(math.ceil(inner[0] / (right - left)), math.ceil(inner[1] / (bottom - top)))
        part = seen_part(self.fit, image.width, image.height, region, self.size)
        if not part == (0, 0, *inner) == (0, 0, *image.size):
            image = image.resize(inner, Image.Resampling.BILINEAR, box=part)
        if inner != (width, height):
            whole = Image.new("RGB", (width, height), self.decoding.background)
            whole.paste(image, ((width - inner[0]) // 2, (height - inner[1]) // 2))
            image = whole
        return np.array(image)


AnyPreprocessing = Preprocessing | Sequence[Preprocessing]
"""Of N images: one for all, or N, where sources are framed each in its own way; all give the same size."""


def per_image(preprocessing: AnyPreprocessing, num: int) -> Sequence[Preprocessing]:
    """The preprocessing of each of ``num`` images."""
    return [preprocessing] * num if isinstance(preprocessing, Preprocessing) else preprocessing


def distinct(preprocessings: Sequence[Preprocessing]) -> list[tuple[Preprocessing, NDArray[np.int64]]]:
    """The different ones, in the order in which they appear, each with the indices of its images."""
    places: dict[int, int] = {}
    of = np.array([places.setdefault(id(one), len(places)) for one in preprocessings], dtype=np.int64)
    indices = [np.flatnonzero(of == place) for place in range(len(places))]
    return [(preprocessings[int(rows[0])], rows) for rows in indices]


def _of_channels(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue


def pixels_key(
    contents: Sequence[bytes], preprocessing: AnyPreprocessing, boxes: NDArray[np.float64] | None = None
) -> str:
    """A cache key of pixels: equal for the same pixels, and for no others.

    Args:
        contents: a digest of each image's file, in order.
        preprocessing: how they become pixels.
        boxes: (N, 4) the images' boxes, where the crop does not find them itself.
    """
    if not isinstance(preprocessing, Preprocessing):
        parts = distinct(preprocessing)
        if len(parts) > 1:
            keys = [
                pixels_key([contents[row] for row in rows], part, None if boxes is None else boxes[rows])
                for part, rows in parts
            ]
            return content_key(keys, (rows.tobytes() for _, rows in parts))
        preprocessing = parts[0][0]
    crop, detector = preprocessing.crop, preprocessing.detector
    how = (preprocessing.fit, preprocessing.decoding)
    settings = (_VERSION, preprocessing.size, crop.key(), detector and detector.key(), *how, decoders())
    given = boxes if crop.boxed and detector is None else None
    return content_key(settings, contents, b"" if given is None else given.tobytes())


def boxes_key(contents: Iterable[bytes], detector: FaceDetector, decoding: Decoding) -> str:
    """A cache key of the boxes that a detector finds in images."""
    return content_key((_VERSION, detector.key(), decoding, decoders()), contents)


def decoders() -> list[str]:
    """The libraries that decode and resize, with their versions."""
    return [f"{name} {version(name)}" for name in ("pillow", "simplejpeg")]


def content_key(parts: object, contents: Iterable[bytes], more: bytes = b"") -> str:
    """A digest of plain values and of files' digests."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=16)
    for content in (*contents, more):
        digest.update(content)
    return digest.hexdigest()
