"""The names of images below a folder in one buffer: as objects ten million of them would take gigabytes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice

from multitask.utils.texts import TEXTS_AT_ONCE, Texts, TextsBuilder


class ListedImages:
    """Images, folder after folder; iterated, the folder (relative, ``""`` for the top) and name of each.

    They are all added before they are looked at.
    """

    def __init__(self) -> None:
        self._folders: list[tuple[str, int]] = []
        self._gathered = TextsBuilder()

    def add(self, where: str, names: NamesOfFolder) -> None:
        """Appends those of a folder."""
        before = len(self._gathered)
        names.move_to(self._gathered)
        self._folders.append((where, len(self._gathered) - before))

    @cached_property
    def _names(self) -> Texts:
        return self._gathered.build()

    def __len__(self) -> int:
        return sum(num for _, num in self._folders)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        names = iter(self._names)
        for where, num in self._folders:
            for name in islice(names, num):
                yield where, name

    def paths(self) -> Iterator[str]:
        """The path of each, relative to the folder."""
        return (f"{where}/{name}" if where else name for where, name in self)


class NamesOfFolder:
    """The names of the images in one folder, of which there may be millions too."""

    def __init__(self) -> None:
        self._few: list[str] = []
        self._many = TextsBuilder()

    def add(self, name: str) -> None:
        """Appends one."""
        self._few.append(name)
        if len(self._few) == TEXTS_AT_ONCE:
            self._many.extend(self._few)
            self._few.clear()

    def move_to(self, names: TextsBuilder) -> None:
        """Appends them to others, sorted."""
        if not len(self._many):
            names.extend(sorted(self._few))
            return
        self._many.extend(self._few)
        names.extend_texts(self._many.build_sorted())
