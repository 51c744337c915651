"""Images for layouts that tests make: one small file under many names."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

_FORMATS = {".jpg": "JPEG", ".png": "PNG"}


def image_bytes(suffix: str = ".jpg", size: tuple[int, int] = (40, 48)) -> bytes:
    """A file of a width and height."""
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, _FORMATS[suffix])
    return file.getvalue()


def add_images(root: Path, paths: Iterable[str], size: tuple[int, int] = (40, 48)) -> None:
    """Images at ``paths`` below a folder."""
    drawn: dict[str, bytes] = {}
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(drawn.setdefault(file.suffix, image_bytes(file.suffix, size)))


def write_lines(path: Path, *lines: str) -> None:
    """A text file of lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
