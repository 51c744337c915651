"""The images below a folder, found by what cells of tables call them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path

from multitask.data.formats import SUFFIXES
from multitask.data.framing import spread
from multitask.data.sources.links import Links
from multitask.data.sources.listing import list_images
from multitask.errors import UserError
from multitask.utils.strings import Strings

Words = Strings | list[str]
Found = Strings | list[str | None]
"""The images of the cells of a column: None of one that leads to none."""
_WORDS = re.compile(r"[\W_]+")
_SAMPLED = 200
_FOUND = 0.5
"""The share of a sample's cells that must lead to images."""


def paths_and_notes(root: Path) -> tuple[list[str], tuple[str, ...]]:
    """The paths of the images below a folder, and what to know of other files there.

    Raises:
        UserError: there are none, or a link leads out of the folder.
    """
    how = "init follows none that does; put there what it leads to, or write links_outside: true into a config by hand"
    listing = list_images(root, Links(root, False, how))
    return list(listing.images.paths()), listing.notes


class Images:
    """The images below a folder, found by what cells call them.

    Args:
        root: the folder.

    Raises:
        UserError: it is no folder, or holds no images.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths, self.notes = paths_and_notes(root)
        self._known = set(self.paths)

    def leading(self, columns: Mapping[str, Words], path: Path) -> tuple[str, Found]:
        """The column that leads to images, and the image of each of its cells.

        Raises:
            UserError: none does; the line names the table.
        """
        samples = {
            column: [words[index] for index in spread(len(words), _SAMPLED)] for column, words in columns.items()
        }
        named = [column for column, sample in samples.items() if sum(map(_names_image, sample)) > len(sample) / 2]
        if column := next((column for column in named if _names_image(column)), None):
            raise UserError(f"{path}: its first line must name the columns, as path,label; found {column!r} among them")
        for column in (*named, *(column for column in columns if column not in named)):
            if len(set(samples[column])) < len(samples[column]) / 2:
                continue
            found = self.find(columns[column], samples[column], path.stem)
            if found is not None:
                self.notes = (*self.notes, *self._also(samples[column], path.stem))
                return column, found
        if named:
            word = next(filter(_names_image, samples[named[0]]))
            raise UserError(
                f"{path}: column {named[0]!r} names images, but none is below {self.root}, as {word}; name their "
                "folder with --images"
            )
        raise UserError(f"{path}: no column leads to images below {self.root}")

    def has_name(self, name: str) -> bool:
        """Whether exactly one image is called so, in whatever folder."""
        return name in self._by_name

    def find(self, words: Words, sample: Sequence[str], near: str = "") -> Found | None:
        """The image of each word; the words themselves where they are paths. None: most of a sample lead to none.

        Args:
            words: N cells.
            sample: some of them.
            near: what the table is called: of several folders that have such images the one that is called like it.
        """
        if isinstance(words, Strings) and all(map(self._known.__contains__, words.names)):
            return words
        plain = {word: _plain(word) for word in (*sample, *words)}
        for read in self._readings([plain[word] for word in sample], near):
            if sum(read(plain[word]) is not None for word in sample) > _FOUND * len(sample):
                return [read(plain[word]) for word in words]
        return None

    def _below(self, prefix: str, word: str) -> str | None:
        path = prefix + word
        return path if path in self._known else None

    def _readings(self, sample: Sequence[str], near: str) -> Iterator[Callable[[str], str | None]]:
        """Ways to read a cell, the plainest first: as it is, below a folder, by its name alone, without a suffix."""
        yield partial(self._below, "")
        for prefix in self._prefixes(sample, near)[:3]:
            yield partial(self._below, prefix)
        yield lambda word: self._by_name.get(word.rsplit("/", 1)[-1])
        yield lambda word: self._by_stem.get(word.removesuffix(".0"))
        for prefix in self._prefixes(sample, near, suffix=False)[:3]:
            yield partial(_below_stem, prefix, self._stems(prefix))

    def _stems(self, prefix: str = "") -> dict[str, str]:
        """The images below a folder by their paths without a suffix."""
        return {os.path.splitext(path)[0]: path for path in self.paths if path.startswith(prefix)}

    def _prefixes(self, sample: Sequence[str], near: str, suffix: bool = True) -> list[str]:
        """The folders, with their slash, below which cells are images, those that are called like the table first.

        Those with fewer than half as many as another come after it, whatever they are called.
        """
        names = {word if suffix else word.removesuffix(".0") for word in sample if word}
        depth = max((word.count("/") for word in names), default=0) + 1
        counts: Counter[str] = Counter()
        for path in self.paths:
            whole = path if suffix else os.path.splitext(path)[0]
            if (end := "/".join(whole.split("/")[-depth:])) in names:
                counts[whole[: -len(end)]] += 1
        most = max(counts.values(), default=0)
        called = {word for word in _WORDS.split(near.casefold()) if word}
        return sorted(
            counts,
            key=lambda prefix: (
                counts[prefix] < most / 2,
                called.isdisjoint(_WORDS.split(prefix.casefold())),
                -counts[prefix],
            ),
        )

    def _also(self, sample: Sequence[str], near: str) -> list[str]:
        """Says that cells are images in several folders, of which one is taken."""
        plain = [_plain(word) for word in sample]
        if sum(word in self._known for word in plain) > _FOUND * len(plain):
            return []
        known: Container[str] = self._known
        found = self._prefixes(plain, near)
        if not found:
            found, known = self._prefixes(plain, near, suffix=False), self._stems()
        others = [one for one in found[1:] if sum(one + word in known for word in plain) > _FOUND * len(plain)]
        if not others:
            return []
        taken, rest = found[0], ", ".join(others[:3])
        return [f"the table's images are in {taken} and in {rest} too; those in {taken} are taken"]

    @cached_property
    def _by_name(self) -> dict[str, str]:
        return _unique_by(self.paths, lambda path: path.rsplit("/", 1)[-1])

    @cached_property
    def _by_stem(self) -> dict[str, str]:
        return _unique_by(self.paths, lambda path: os.path.splitext(path.rsplit("/", 1)[-1])[0])


def _below_stem(prefix: str, stems: Mapping[str, str], word: str) -> str | None:
    return stems.get(prefix + word.removesuffix(".0"))


def _plain(word: str) -> str:
    """A cell as a path: of an address without what follows a question mark."""
    word = word.replace("\\", "/").removeprefix("./").strip()
    return word.partition("?")[0] if "://" in word else word


def _names_image(word: str) -> bool:
    return os.path.splitext(word)[1].lower() in SUFFIXES


def _unique_by(paths: Sequence[str], key: Callable[[str], str]) -> dict[str, str]:
    """Paths by a key; of those with the same key none."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    for path in paths:
        if found.setdefault(key(path), path) is not path:
            twice.add(key(path))
    return {name: path for name, path in found.items() if name not in twice}
