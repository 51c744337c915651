"""WebDataset shards: tar files of which members of one name are one sample."""

from __future__ import annotations

import os
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import Any

from multitask.data.formats import SUFFIXES
from multitask.data.sources.shard_index import read_shard
from multitask.data.sources.shard_paths import shard_patterns
from multitask.data.sources.shard_sample import Sample, image_of, split_name, words_of
from multitask.data.sources.split_words import SplitWords
from multitask.errors import UserError
from multitask.init.layouts.base import Layout, Observed, Options
from multitask.init.layouts.extraction import Extraction
from multitask.init.layouts.row_words import RowWords

_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")
"""The first bytes of files whose members have no place that could be read alone: gzip, bzip2, xz."""
_QUERIES = "query*.tar"
_LOOKED_AT = 2_000
_WORD = re.compile(r"[A-Za-z]+")
_SPLIT = "split"


class WebDataset(Layout):
    """A shard, or a folder of them: an image and ``.cls``, ``.json`` or other short texts for each key.

    They are read as they are, but where one is compressed: then images are written to files.
    """

    title = "WebDataset shards"

    def fits(self) -> bool:
        """Whether it is a tar file, or a folder that holds some."""
        if self.path.is_file():
            return self.path.name.lower().endswith(_SUFFIXES)
        return self.path.is_dir() and bool(_shards(self.path)) and not _holds_images(self.path)

    def extracts(self) -> bool:
        """Whether a shard is compressed, or not called as the source wants it."""
        return any(shard.suffix != ".tar" or _is_compressed(shard) for shard in _shards(self.path))

    def observe(self, options: Options) -> Observed:
        """The samples that have an image."""
        root, shards = self.path.parent if self.path.is_file() else self.path, _shards(self.path)
        source: dict[str, Any] | None = None
        asked = [shard for shard in shards if fnmatch(shard.name, _QUERIES)] if self.path.is_dir() else []
        rows = _Rows(root, [shard for shard in shards if shard not in asked] or shards)
        if options.room is None:
            images = [image for shard in rows.shards for image in rows.read(shard)]
            source = {"name": "webdataset", "shards": shard_patterns(rows.shards)}
            source |= {"incomplete": "skip"} if rows.num_without else {}
        else:
            found = Extraction(options.room)
            for shard in rows.shards:
                rows.extract(shard, found)
            root, images = options.room, found.images
        if not images:
            raise UserError(f"{self.path}: holds no images")
        assumed = (
            [] if source is None else ["images are read from the shards, at their place: none is written to a file"]
        )
        if source is not None and len(rows.shards) < len(shards):
            source["query_shards"] = shard_patterns([shard.relative_to(root).as_posix() for shard in asked])
            assumed.append(f"{_QUERIES} is to be answered")
        return rows.observed(root, images, source, tuple(assumed))


class _Rows:
    """The samples of shards, of which each word is kept.

    Args:
        root: the folder of the shards.
        shards: files in it.
    """

    def __init__(self, root: Path, shards: Sequence[Path]) -> None:
        self.root = root
        self.shards = [shard.relative_to(root).as_posix() for shard in shards]
        self.num_without = 0
        self._words = RowWords()
        self._sides = {shard: _side_word(shard) if len(shards) > 1 else "" for shard in self.shards}
        self._side_of_row: list[str] = []

    def read(self, shard: str) -> Iterator[str]:
        """The images of a shard, as the source calls them."""
        found = read_shard(self.root / shard)
        self.num_without += len(found.without)
        for image, words in zip(found.images, found.words, strict=True):
            self._add(shard, words)
            yield f"{shard}/{image}"

    def extract(self, shard: str, to: Extraction) -> None:
        """Writes the images of a shard to files."""
        place = re.sub(r"\.(tar(\.gz)?|tgz)$", "", shard, flags=re.IGNORECASE)
        for key, sample in _samples(self.root / shard):
            where = f"{self.root / shard}, {key}"
            image = image_of(sample, where)
            if image is None:
                self.num_without += 1
                continue
            to.add(f"{place}/{key}", sample[image], where)
            self._add(shard, words_of(sample, where))

    def _add(self, shard: str, words: dict[str, str]) -> None:
        self._words.add(words)
        self._side_of_row.append(self._sides[shard])

    def observed(
        self, root: Path, images: list[str], source: Mapping[str, Any] | None, assumed: tuple[str, ...]
    ) -> Observed:
        """What they say; of the split by the shards' names, where no sample says it itself."""
        columns = {name: words for name, words in self._words.columns.items() if any(words)}
        split = None
        if len({*self._sides.values()}) > 1:
            own = columns.get(_SPLIT)
            if own is None:
                split, columns[_SPLIT] = _SPLIT, self._side_of_row
            else:
                columns[_SPLIT] = [word or side for word, side in zip(own, self._side_of_row, strict=True)]
        what = "sample has no image and is" if self.num_without == 1 else "samples have no image and are"
        return Observed(
            root,
            images,
            columns,
            source,
            split=split,
            partial=frozenset(self._words.partial),
            by_split=None if source is None else self._settings_of,
            assumed=assumed,
            check=(f"{self.num_without:,} {what} left out",) if self.num_without else (),
        )

    def _settings_of(self, splits: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """The source's settings by which the shards of some words train, validate and test."""
        keys = {"train": "shards", "val": "val_shards", "test": "test_shards"}
        shards = {
            key: [name for name in self.shards if self._sides[name] in splits[side]] for side, key in keys.items()
        }
        return {key: shard_patterns(names) for key, names in shards.items() if names}


def _side_word(shard: str) -> str:
    """What a shard's folder or name says of the split, as in ``train/0001.tar`` and ``faces-val-0001.tar``."""
    words = [word.lower() for word in _WORD.findall(shard[: shard.lower().rindex(".t")])]
    return next(filter(_names_side, words), words[0] if words else "")


def _names_side(word: str) -> bool:
    try:
        SplitWords().side(word)
    except UserError:
        return False
    return True


def _is_compressed(shard: Path) -> bool:
    try:
        with shard.open("rb") as file:
            return file.read(8).startswith(_COMPRESSED)
    except OSError:
        return False  # which is told when it is read


def _shards(path: Path) -> list[Path]:
    """The shards in a folder, and in those in it; of a file itself."""
    if path.is_file():
        return [path]
    try:
        inner = [Path(entry.path) for entry in os.scandir(path) if entry.is_dir() and not entry.name.startswith(".")]
        places = [path, *sorted(inner)]
        files = [Path(entry.path) for place in places for entry in sorted(os.scandir(place), key=lambda one: one.name)]
    except OSError:
        return []
    return [file for file in files if file.name.lower().endswith(_SUFFIXES) and file.is_file()]


def _holds_images(folder: Path) -> bool:
    """Whether there are files of images, beside which a tar file is what they were unpacked from."""
    return any(file.suffix.lower() in SUFFIXES for file in islice(folder.rglob("*"), _LOOKED_AT))


def _samples(shard: Path) -> Iterator[tuple[str, Sample]]:
    """The samples of a shard: members that follow each other and have the same name up to its first dot.

    Raises:
        UserError: it is damaged.
    """
    key, sample = "", Sample()
    try:
        with tarfile.open(shard, "r|*") as tar:
            for member in tar:
                parts = split_name(member.name)
                if not member.isfile() or parts is None:
                    continue
                named, extension = parts
                if named != key:
                    if sample:
                        yield key, sample
                    key, sample = named, Sample()
                file = tar.extractfile(member)
                assert file is not None, "it is a file"
                if extension.lower() in sample:
                    raise UserError(f"{shard}, {key}: has .{extension} twice")
                sample[extension.lower()] = file.read()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise UserError(f"{shard}: is damaged, or no tar file: {error}") from None
    except OSError as error:
        raise UserError(f"{shard}: cannot be read: {error}") from None
    if sample:
        yield key, sample
