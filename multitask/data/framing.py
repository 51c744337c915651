"""The part of images that the network sees: measured from their headers, and drawn on some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multitask.data.crop import Region
from multitask.data.fit import excess, fit_counts
from multitask.data.headers import Header, read_headers
from multitask.data.image_facts import FirstFrames, ImageFacts
from multitask.data.images import Pixels, Preprocessing, distinct
from multitask.data.placement import seen_part
from multitask.data.samples import Samples
from multitask.errors import UserError

MAX_MEASURED = 10_000
"""Images whose heads are read; of more, so many spread evenly."""
_MAX_LOCATED = 64
"""Likewise, of images in which faces must be found first."""
MAX_DRAWN = 6
_DRAWN_PX = 320  # the longer side
_FRAME = (255, 160, 0)


def spread(num: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` of ``num`` indices, spread evenly."""
    return np.unique(np.linspace(0, num - 1, min(num, most)).round().astype(np.int64)) if num else np.arange(0)


def measure(
    paths: Sequence[Path],
    images: Sequence[str],
    preprocessing: Preprocessing,
    boxes: NDArray[np.float64] | None = None,
    preprocessings: Sequence[Preprocessing] | None = None,
) -> ImageFacts:
    """The effect of the fit on images, and the number of those with more than the frame or page that is used.

    Args:
        paths: N files; those that cannot be read are left out.
        images: their names.
        preprocessing: the network's.
        boxes: (N, 4) their boxes, where the crop needs them.
        preprocessings: each image's, where some have another than the network's; the fit's effect on these is not
            measured. None: all have the network's.
    """
    known = [(index, header) for index, header in enumerate(read_headers(paths)) if header is not None]
    several = [index for index, header in known if header.several]
    parts = preprocessings or [preprocessing] * len(paths)
    alike = [(index, header) for index, header in known if parts[index] is preprocessing]
    shares = [_excess(header, preprocessing, None if boxes is None else boxes[index]) for index, header in alike]
    names = [images[index] for index, _ in alike]
    return ImageFacts(
        fit=fit_counts(preprocessing.fit, preprocessing.size, np.array(shares), names),
        first_frames=FirstFrames(len(several), str(images[several[0]])) if several else None,
    )


def _region(header: Header, preprocessing: Preprocessing, box: NDArray[np.float64] | None) -> Region:
    height, width = preprocessing.size
    try:
        return preprocessing.crop.region(header.width_px, header.height_px, width / height, box)
    except UserError:  # a box beside the image, which is named when it is decoded
        return 0.0, 0.0, 1.0, 1.0


def _excess(header: Header, preprocessing: Preprocessing, box: NDArray[np.float64] | None) -> float:
    height, width = preprocessing.size
    if preprocessing.crop.matrix(preprocessing.size, box) is not None:
        return 0.0
    return excess(header.width_px, header.height_px, _region(header, preprocessing, box), width / height)


@dataclass(frozen=True, eq=False)
class Framed:
    """One image, and the part of it that the network sees.

    Attributes:
        image: its name.
        whole: (H, W, 3) uint8, all of it, with the part framed and the rest faded.
        seen: (H, W, 3) uint8, the network's input before it is normalised.
        share: ``excess``.
    """

    image: str
    whole: Pixels
    seen: Pixels
    share: float


def draw(
    paths: Sequence[Path],
    images: Sequence[str],
    preprocessing: Preprocessing,
    boxes: NDArray[np.float64] | None = None,
    preprocessings: Sequence[Preprocessing] | None = None,
) -> list[Framed]:
    """Some images with their frames, from the tallest to the widest; arguments as of ``measure``."""
    parts = preprocessings or [preprocessing] * len(paths)
    found = [
        (_excess(header, parts[index], None if boxes is None else boxes[index]), index, header)
        for index, header in enumerate(read_headers(paths))
        if header is not None
    ]
    found.sort(key=lambda item: item[:2])
    drawn = []
    for place in spread(len(found), MAX_DRAWN):
        share, index, header = found[int(place)]
        try:
            box = None if boxes is None else boxes[index]
            drawn.append(_framed(paths[index], str(images[index]), header, parts[index], box, share))
        except UserError:
            continue  # it is listed among those that cannot be read
    return drawn


def _framed(
    path: Path,
    image: str,
    header: Header,
    preprocessing: Preprocessing,
    box: NDArray[np.float64] | None,
    share: float,
) -> Framed:
    scale = min(1.0, _DRAWN_PX / max(header.width_px, header.height_px))
    width, height = max(1, round(header.width_px * scale)), max(1, round(header.height_px * scale))
    whole = Preprocessing((height, width), fit="stretch", decoding=preprocessing.decoding).load(path)
    region = _region(header, preprocessing, box)
    part = seen_part(preprocessing.fit, width, height, region, preprocessing.size)
    left, top, right, bottom = (round(edge) for edge in part)
    faded = (whole * 0.35 + 140).astype(np.uint8)
    faded[top:bottom, left:right] = whole[top:bottom, left:right]
    line = max(1, max(width, height) // 100)
    frame = faded[top:bottom, left:right]
    frame[:line] = frame[-line:] = _FRAME
    frame[:, :line] = frame[:, -line:] = _FRAME
    return Framed(image, faded, preprocessing.load(path, box), share)


@dataclass(frozen=True, eq=False)
class Framing:
    """The framing of a data set's images.

    Attributes:
        facts: as of ``measure``.
        drawn: some of the images, from the tallest to the widest.
    """

    facts: ImageFacts
    drawn: list[Framed]


def frame(samples: Samples, preprocessing: Preprocessing, preprocessings: Sequence[Preprocessing]) -> Framing:
    """Measures a data set's images, and draws some of them.

    Args:
        samples: N of them.
        preprocessing: the network's.
        preprocessings: N, as of ``measure``.
    """
    located = any(part.detector is not None for part, _ in distinct(preprocessings))
    chosen = spread(len(samples), _MAX_LOCATED if located else MAX_MEASURED)
    paths, images = [samples.path(image) for image in samples.images[chosen]], samples.images[chosen].tolist()
    parts = [preprocessings[index] for index in chosen]
    boxes = None
    if any(part.crop.boxed for part, _ in distinct(parts)):
        boxes = np.full((len(chosen), 4), np.nan)
        for place, part in enumerate(parts):
            if part.detector is not None:
                boxes[place] = _located(paths[place], part)
            elif (given := part.given(samples)) is not None:
                boxes[place] = given[chosen[place]]
    return Framing(
        measure(paths, images, preprocessing, boxes, parts), draw(paths, images, preprocessing, boxes, parts)
    )


def _located(path: Path, preprocessing: Preprocessing) -> NDArray[np.float64]:
    try:
        return preprocessing.locate(path)
    except UserError:
        return np.full(4, np.nan)
