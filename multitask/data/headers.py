"""Headers of image files: format, size, and whether there are several frames or pages."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from multitask.data.image_file import open_image, upright_size
from multitask.utils.files import check_regular
from multitask.utils.tar_files import read_member


@dataclass(frozen=True)
class Header:
    """The header of one file.

    Attributes:
        form: format and mode, as ``JPEG RGB``.
        width_px: of the upright image.
        height_px: likewise.
        several: whether there are more frames or pages than the first, which is the one that is used.
    """

    form: str
    width_px: int
    height_px: int
    several: bool


def read_header(path: Path) -> Header:
    """Reads the header of an image file.

    Raises:
        OSError, UserError: it is no image, or cannot be opened; or whatever else Pillow raises on a damaged one.
    """
    member = read_member(path)
    if member is None:
        check_regular(path)
    with open_image(path if member is None else io.BytesIO(member)) as image:
        # A PNG that has no EXIF up front would be decoded whole to look for it at the end.
        known = image.format != "PNG" or "exif" in image.info
        width, height = upright_size(image) if known else image.size
        # Of an MPO, a JPEG of a phone, the others are previews.
        several = bool(getattr(image, "is_animated", False)) and image.format != "MPO"
        return Header(f"{image.format} {image.mode}", width, height, several)


def read_headers(paths: Sequence[Path]) -> list[Header | None]:
    """The headers of N files; None for those that cannot be read, which are named when they are decoded."""

    def attempt(path: Path) -> Header | None:
        try:
            return read_header(path)
        except Exception:
            return None

    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(attempt, paths))
