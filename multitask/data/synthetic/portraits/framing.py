"""The part of a portrait that an image shows: the face as the competition frames it; tight portraits are extended."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from multitask.data.synthetic.portraits.face import FaceFrame, Points
from multitask.data.synthetic.portraits.masking import Pixels

_HEIGHT = 5.0
"""Of the part, in distances from the eyes to the mouth."""
_EYES_AT = 0.40
"""How far down the eyes are, as a share of its height."""


@dataclass(frozen=True)
class Part:
    """A part of a portrait, and its landmarks there.

    Attributes:
        pixels: (h, w, 3) uint8, RGB: of the asked shape, and no larger than the portrait has pixels for, so that a mask
            drawn here is as sharp as the face.
        points: (5, 2) in these pixels.
    """

    pixels: Pixels
    points: Points


def cut_part(image: Image.Image, points: Points, size: tuple[int, int], rng: np.random.Generator) -> Part:
    """The part around a face, a little other each time.

    Args:
        image: the portrait, RGB.
        points: (5, 2) landmarks in its pixels.
        size: width and height asked for, in pixels.
        rng: advanced alike by every call.
    """
    frame = FaceFrame.of(points)
    scale = float(rng.uniform(0.93, 1.07))
    shift_x, shift_y = rng.uniform(-0.03, 0.03, 2)
    height = max(frame.mouth_px, 0.9 * frame.eye_px) * _HEIGHT * scale
    width = height * size[0] / size[1]
    # At most as wide or as high as the portrait, whichever is more: where it is smaller than that it is extended.
    fit = min(1.0, scale * max(image.width / width, image.height / height))
    width, height = width * fit, height * fit
    middle = frame.eyes + frame.down * height * (0.5 - _EYES_AT) + np.array([shift_x, shift_y]) * (width, height)
    left, top = _start(float(middle[0]), width, image.width), _start(float(middle[1]), height, image.height)
    share = min(1.0, width / size[0])
    part = (max(8, round(size[0] * share)), max(8, round(size[1] * share)))
    cut = _cut(image, (left, top, left + width, top + height), part)
    return Part(cut, (points - (left, top)) * (np.array(part) / (width, height)))


def _start(middle: float, length: float, limit: int) -> float:
    """Where an interval of a length about a middle begins, once it is moved inside [0, limit] or holds all of it."""
    least, most = sorted((0.0, limit - length))
    return min(max(middle - length / 2, least), most)


def _cut(image: Image.Image, box: tuple[float, float, float, float], size: tuple[int, int]) -> Pixels:
    """A part of an image at a size; what is beyond its edges is mirrored and blurred."""
    left, top, right, bottom = box
    inner = (max(left, 0.0), max(top, 0.0), min(right, float(image.width)), min(bottom, float(image.height)))
    scale = np.array([size[0] / (right - left), size[1] / (bottom - top)])
    first = np.rint((np.array(inner[:2]) - (left, top)) * scale).astype(int)
    end = np.rint((np.array(inner[2:]) - (left, top)) * scale).astype(int).clip(first + 1, size)
    seen = np.asarray(image.resize(tuple((end - first).tolist()), Image.Resampling.BICUBIC, box=inner))
    if seen.shape[1::-1] == size:
        return seen
    before, after = first.tolist(), (np.array(size) - end).tolist()
    whole = cv2.copyMakeBorder(seen, before[1], after[1], before[0], after[0], cv2.BORDER_REFLECT)
    blurred = cv2.GaussianBlur(whole, (0, 0), 0.06 * size[0])
    known = np.zeros(whole.shape[:2], dtype=np.float32)
    known[first[1] : end[1], first[0] : end[0]] = 1.0
    feather = max(1, round(0.02 * size[0]))
    known = cv2.blur(cv2.erode(known, np.ones((2 * feather + 1,) * 2), borderValue=1.0), (2 * feather + 1,) * 2)[
        ..., None
    ]
    mixed: Pixels = np.rint(whole * known + blurred * (1 - known)).clip(0, 255).astype(np.uint8)
    return mixed


def lit(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """The same in a little more or less light."""
    bright: Pixels = (
        np.rint(pixels.astype(np.float32) * np.float32(rng.uniform(0.92, 1.08))).clip(0, 255).astype(np.uint8)
    )
    return bright


def enlarged(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """At the asked width and height."""
    if pixels.shape[1::-1] == size:
        return pixels
    large: Pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    return large
