"""A single image."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from multitask.data.formats import SUFFIXES
from multitask.data.other_files import HEAD_BYTES, other_kind
from multitask.errors import UserError
from multitask.inference.inputs.base import InputKind, InputOptions
from multitask.inference.stream import ImageInput
from multitask.utils.files import absent, check_regular


class OneImage(InputKind):
    """An image's file, whatever it is called."""

    def __init__(self, path: str, options: InputOptions) -> None:
        super().__init__(path, options)
        if not os.path.lexists(path):
            raise absent(path, "no such file or folder")
        check_regular(Path(path))
        if not self.fits(path) and (what := _other_kind(path)) is not None:
            raise UserError(f"{path}: is no image but {what}")
        self.count = 1

    @classmethod
    def fits(cls, path: str) -> bool:
        """By its suffix; a file that is of no other kind is taken for an image too."""
        return Path(path).suffix.lower() in SUFFIXES

    def __iter__(self) -> Iterator[ImageInput]:
        yield ImageInput(self.path, Path(self.path))


def _other_kind(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            return other_kind(file.read(HEAD_BYTES))
    except OSError:  # whoever reads it says why
        return None
