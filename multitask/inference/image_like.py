"""Images as a program gives them: paths, PIL images and arrays, each with its box where the run needs one."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multitask.data.crop import Box
from multitask.errors import UserError
from multitask.inference.stream import ImageInput

ImageLike: TypeAlias = str | os.PathLike[str] | Image.Image | NDArray[Any]
"""A path, a PIL image, or an (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey array of uint8."""

BoxLike: TypeAlias = Sequence[float] | NDArray[Any]
"""Left, top, right and bottom of what matters in an image, in its pixels."""


def is_one(images: object) -> TypeGuard[ImageLike]:
    """Whether it is a single image; an array of four dimensions is several, and what is of no kind is none."""
    if isinstance(images, np.ndarray):
        return images.ndim < 4 and images.dtype != object
    return isinstance(images, (str, os.PathLike, Image.Image))


def are_several(images: object) -> TypeGuard[Iterable[object]]:
    """Whether it can be iterated for images: not what gives its bytes, lines, keys or names of columns."""
    if isinstance(images, (bytes, bytearray, memoryview, io.IOBase, Mapping)) or hasattr(images, "columns"):
        return False
    return isinstance(images, Iterable)


def image_inputs(images: Iterable[object], boxes: object) -> Iterator[ImageInput]:
    """The images, each with its box where there are any.

    Raises:
        UserError: there are not as many boxes as images.
    """
    if boxes is None:
        yield from (image_input(image, place, None) for place, image in enumerate(images))
        return
    if not isinstance(boxes, Iterable):
        raise UserError(f"boxes: must be one for each image, found {boxes!r}")
    absent = object()
    for place, (image, box) in enumerate(zip_longest(images, boxes, fillvalue=absent)):
        if image is absent or box is absent:
            raise UserError("boxes: must be as many as there are images")
        yield image_input(image, place, box)


def _box(box: object, place: int) -> Box | None:
    """(4,) an image's box."""
    if box is None:
        return None
    try:
        found = np.asarray(box, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.shape != (4,):
        raise UserError(f"boxes: image {place}: must be left, top, right and bottom, found {box!r}")
    return found


def image_input(image: object, place: int, box: object) -> ImageInput:
    """An image to be answered.

    Args:
        image: as of ``ImageLike``.
        place: among those that were given, from 0; the name of an image that has no path.
        box: as of ``BoxLike``; None: it has none.

    Raises:
        UserError: it is no image, or its box is none.
    """
    given = _box(box, place)
    if isinstance(image, (str, os.PathLike)):
        return ImageInput(os.fspath(image), Path(image), given)
    if isinstance(image, Image.Image):
        return ImageInput(str(place), image, given)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))):
            raise UserError(
                f"image {place}: an array must be (H, W, 3), (H, W, 4) or (H, W) of uint8, found {image.shape} of "
                f"{image.dtype}"
            )
        if not image.size:
            raise UserError(f"image {place}: an array must have pixels, found {image.shape}")
        return ImageInput(str(place), Image.fromarray(image), given)
    raise UserError(f"image {place}: must be a path, a PIL image or an array, found {type(image).__name__}")
