"""A pattern of paths."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from multitask.data.formats import SUFFIXES, SUFFIXES_TEXT
from multitask.errors import UserError
from multitask.inference.inputs.base import InputKind, InputOptions
from multitask.inference.inputs.folder import others_note
from multitask.inference.stream import ImageInput
from multitask.utils.texts import TextsBuilder


class PathPattern(InputKind):
    """The images that match a pattern with ``*``, ``?``, ``[...]`` and, over any number of folders, ``**``; sorted."""

    def __init__(self, path: str, options: InputOptions) -> None:
        super().__init__(path, options)
        images = TextsBuilder()
        others: Counter[str] = Counter()
        for found in glob.iglob(path, recursive=True):
            suffix = os.path.splitext(found)[1].lower()
            if suffix in SUFFIXES:
                images.extend([found])
            elif not os.path.isdir(found):
                others[suffix or "no suffix"] += 1
        notes = tuple(others_note(path, others))
        if not len(images):
            seen = f"; {notes[0]}" if notes else ""
            raise UserError(
                f"{path}: there is no such file, and as a pattern it matches no image ({SUFFIXES_TEXT}){seen}"
            )
        self.count = len(images)
        self._images = images.build_sorted()
        self.notes = notes

    @classmethod
    def fits(cls, path: str) -> bool:
        """Whether it has such signs, and nothing is really called so."""
        return glob.has_magic(path) and not os.path.lexists(path)

    def __iter__(self) -> Iterator[ImageInput]:
        for path in self._images:
            yield ImageInput(path, Path(path))
