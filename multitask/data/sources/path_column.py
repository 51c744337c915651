"""The paths of a table's images, a part at a time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from multitask.data.sources.base import inside
from multitask.data.sources.columns import Faults, texts
from multitask.errors import UserError
from multitask.utils.spelling import canonical_path
from multitask.utils.strings import Strings
from multitask.utils.texts import Texts, TextsBuilder

if TYPE_CHECKING:
    import pyarrow as pa

_FIRST, _NEXT = r"[!-\-0-9;-\[\]-~]", r"[!-.0-9;-\[\]-~]"
_PLAIN_PATH = f"^{_FIRST}{_NEXT}*(/{_FIRST}{_NEXT}*)*$"
"""Paths that are inside the data root and in canonical spelling, at a glance: most are."""


class PathColumn:
    """Reads the column of the images' paths.

    Args:
        root: the folder that they are relative to.
        name: the column's.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.num_backslashed = 0
        self._root = root
        self._paths = TextsBuilder()
        self._respelt: dict[int, str] = {}  # by row, the canonical spelling of a path that has another

    def read(self, column: pa.Array, faults: Faults) -> None:
        """Appends a part."""
        import pyarrow.compute as pc

        paths = texts(column)
        unsure = pc.indices_nonzero(pc.invert(pc.match_substring_regex(paths, _PLAIN_PATH))).to_pylist()
        if not unsure:
            self._paths.extend_arrow(paths)
            return
        words = paths.to_pylist()
        for row in unsure:
            try:
                words[row] = self._inside(words[row])
            except UserError as error:
                faults.add(row, error)
                return
            if (spelt := canonical_path(words[row])) != words[row]:
                self._respelt[len(self._paths) + row] = spelt
        self._paths.extend(words)

    def _inside(self, text: str) -> str:
        """An image's path: with the slashes of Windows, too, unless a file is really called so."""
        image = inside(text, self.name)
        if "\\" in image and not os.path.lexists(self._root / image):
            self.num_backslashed += 1
            image = inside(image.replace("\\", "/"), self.name)
        return image

    def strings(self) -> Strings:
        """The paths; the column is spent."""
        self._texts = self._paths.build()
        return Strings(self._texts)

    def rows_alike(self) -> NDArray[np.int64]:
        """Ascending, the rows whose path, canonically spelt, another has too; hardly ever one that has it alone."""
        hashes = self._texts.hashes()
        if self._respelt:
            hashes[list(self._respelt)] = Texts.of(self._respelt.values()).hashes()
        rising = np.sort(hashes)
        twice = rising[1:][rising[1:] == rising[:-1]]
        return np.flatnonzero(np.isin(hashes, twice)) if len(twice) else np.empty(0, dtype=np.int64)
