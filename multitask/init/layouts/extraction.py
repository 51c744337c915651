"""Images that are in no files of their own, written to a folder."""

from __future__ import annotations

from pathlib import Path

from multitask.data.formats import FORMATS, MAGIC_BYTES, sniff
from multitask.data.sources.base import inside
from multitask.errors import UserError

_SUFFIXES = {"JPEG": ".jpg", "TIFF": ".tif", "JPEG2000": ".jp2"}
"""Where that of a format is not its name."""


class Extraction:
    """Images that are read one after the other.

    Args:
        folder: to be made for the images.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images: list[str] = []
        self._known: set[str] = set()

    def add(self, name: str, data: bytes, where: str) -> None:
        """Writes an image as ``name`` with the suffix of its format.

        Raises:
            UserError: it is no image; the line begins with ``where``.
        """
        form = sniff(data[:MAGIC_BYTES])
        if form not in FORMATS:
            raise UserError(f"{where}: is no image of a format that is read")
        image = inside(name, where) + _SUFFIXES.get(form, f".{form.lower()}")
        if image in self._known:
            raise UserError(f"{where}: {name!r} is there twice")
        self._known.add(image)
        file = self.folder / image
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        self.images.append(image)
