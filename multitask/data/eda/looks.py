"""Measurements of every image, from one decoding at a reduced scale."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from multitask.data.headers import Header, read_header
from multitask.data.images import Pixels, Preprocessing
from multitask.errors import UserError
from multitask.labels import MISSING
from multitask.utils.files import content_digest
from multitask.utils.threads import threads

SMALL_PX = 32
"""Side of the grey square by which images are compared."""
HASH_BITS = 64
_HASH_SIDE = 8
_BLUR_PX = 2.0
_AREA_PX = 128 * 96  # brightness and sharpness are comparable only at one size
_WIDEST = 4.0  # longer strips than 4:1 are cut: they would be a few pixels high
_HEADERS = 64
_AHEAD = 64  # images for each thread that are decoded before they are asked for


@dataclass(frozen=True)
class Look:
    """The measurements of one image and its file.

    Attributes:
        content: a digest of the file.
        form: format and mode, as ``JPEG RGB``.
        width_px: of the upright image in the file, 0 where unknown.
        height_px: likewise.
        brightness: mean of the grey image, from 0 to 255.
        sharpness: variance of the grey image's Laplacian, at the common size.
        detail: (32, 32) int8, the grey image less its blur, which differs between faces that are framed and lit alike.
        bits: (64,) bool, the perceptual hash.
        pixels: (H, W, 3) uint8, at the common size.
    """

    content: bytes
    form: str
    width_px: int
    height_px: int
    brightness: float
    sharpness: float
    detail: NDArray[np.int8]
    bits: NDArray[np.bool_]
    pixels: Pixels


@dataclass(frozen=True, eq=False)
class Looks:
    """The measurements of N images, a column each; empty or NaN for images that cannot be read.

    Attributes:
        faults: for each image that cannot be read, by its index, why.
        contents: N digests, empty where unknown.
        forms: N formats and modes.
        sizes_px: (N, 2) int64, width and height.
        brightness: (N,) float64.
        sharpness: (N,) float64.
        details: (N, 32, 32) int8.
        bits: (N, 64) bool.
        means: (K, H, W, 3) uint8, the mean image of each of the K keys, black where there is none.
        num_averaged: (K,) int64, of how many images.
    """

    faults: dict[int, str]
    contents: list[bytes]
    forms: list[str]
    sizes_px: NDArray[np.int64]
    brightness: NDArray[np.float64]
    sharpness: NDArray[np.float64]
    details: NDArray[np.int8]
    bits: NDArray[np.bool_]
    means: Pixels
    num_averaged: NDArray[np.int64]

    @property
    def readable(self) -> NDArray[np.bool_]:
        """(N,) whether each could be read."""
        readable = np.ones(len(self.contents), dtype=bool)
        readable[list(self.faults)] = False
        return readable


def common_size(paths: Sequence[Path]) -> tuple[int, int]:
    """Height and width at which images are looked at: about 12,000 pixels, in the images' usual shape.

    Args:
        paths: their files; the shape is the median of a few of them, spread evenly.
    """
    aspects = []
    for index in np.unique(np.linspace(0, len(paths) - 1, _HEADERS).round().astype(int)):
        try:
            header = read_header(paths[int(index)])
        except Exception:  # it will be named when its turn comes
            continue
        aspects.append(header.width_px / header.height_px)
    aspect = min(max(float(np.median(aspects)), 1 / _WIDEST), _WIDEST) if aspects else 3 / 4
    height = round(math.sqrt(_AREA_PX / aspect))
    return height, round(height * aspect)


def look_at(
    paths: Sequence[Path],
    preprocessing: Preprocessing,
    keys: NDArray[np.int64],
    num_keys: int,
    on_done: Callable[[int], None] | None = None,
) -> Looks:
    """Looks at every image once, in threads; memory grows by about a kilobyte with each.

    Args:
        paths: N files.
        preprocessing: decodes them at the common size.
        keys: (N, ...) whose mean images each counts for, from 0 to K - 1; ``MISSING`` for none.
        num_keys: K.
        on_done: called with the number of images done so far, from the calling thread.
    """
    num = len(paths)
    looks = Looks(
        {},
        [b""] * num,
        [""] * num,
        np.zeros((num, 2), dtype=np.int64),
        np.full(num, np.nan),
        np.full(num, np.nan),
        np.zeros((num, SMALL_PX, SMALL_PX), dtype=np.int8),
        np.zeros((num, HASH_BITS), dtype=bool),
        np.zeros((num_keys, *preprocessing.size, 3), dtype=np.uint8),
        np.zeros(num_keys, dtype=np.int64),
    )
    sums = np.zeros(looks.means.shape, dtype=np.uint32)
    for index, look in enumerate(_in_order(paths, preprocessing)):
        if isinstance(look, UserError):
            # The list that it goes to names the file already.
            looks.faults[index] = str(look).removeprefix(f"{paths[index]}: ")
        else:
            looks.contents[index], looks.forms[index] = look.content, look.form
            looks.sizes_px[index] = look.width_px, look.height_px
            looks.brightness[index], looks.sharpness[index] = look.brightness, look.sharpness
            looks.details[index], looks.bits[index] = look.detail, look.bits
            for key in keys[index]:
                if key != MISSING:
                    sums[key] += look.pixels
                    looks.num_averaged[key] += 1
        if on_done is not None:
            on_done(index + 1)
    for key in np.flatnonzero(looks.num_averaged):
        looks.means[key] = (sums[key] / looks.num_averaged[key]).round()
    return looks


def look(path: Path, preprocessing: Preprocessing) -> Look:
    """Looks at one image.

    Raises:
        UserError: it cannot be read.
    """
    try:
        header = read_header(path)
    except Exception:  # why, the decoder below says in its own words
        header = Header("unknown", 0, 0, False)
    pixels = preprocessing.load(path)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SMALL_PX, SMALL_PX), interpolation=cv2.INTER_AREA)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_32F))
    return Look(
        content_digest(path),
        header.form,
        header.width_px,
        header.height_px,
        float(cv2.mean(grey)[0]),
        float(deviation[0, 0]) ** 2,
        detail_of(small),
        perceptual_hash(small),
        pixels,
    )


def perceptual_hash(small: Pixels) -> NDArray[np.bool_]:
    """pHash: which of the low frequencies are stronger than their median.

    Args:
        small: (32, 32) uint8, grey.

    Returns:
        (64,) bool. Scale, compression and light change few of them.
    """
    low = cv2.dct(small.astype(np.float32))[:_HASH_SIDE, :_HASH_SIDE].ravel()
    found: NDArray[np.bool_] = low > np.median(low)
    return found


def detail_of(small: Pixels) -> NDArray[np.int8]:
    """The difference between an image and its blur.

    Args:
        small: (32, 32) uint8, grey.

    Returns:
        (32, 32) int8.
    """
    grey = small.astype(np.float32)
    detail: NDArray[np.int8] = np.rint(grey - cv2.GaussianBlur(grey, (0, 0), _BLUR_PX)).clip(-127, 127).astype(np.int8)
    return detail


def _in_order(paths: Sequence[Path], preprocessing: Preprocessing) -> Iterator[Look | UserError]:
    def attempt(path: Path) -> Look | UserError:
        try:
            return look(path, preprocessing)
        except UserError as error:
            return error

    # Decoding and OpenCV go on without the interpreter's lock, so threads are enough.
    workers = len(os.sched_getaffinity(0))
    with threads(workers) as pool:
        ahead = iter(())  # type: Iterator[Look | UserError]
        for start in range(0, len(paths), _AHEAD * workers):
            following = pool.map(attempt, paths[start : start + _AHEAD * workers])
            yield from ahead
            ahead = following
        yield from ahead
