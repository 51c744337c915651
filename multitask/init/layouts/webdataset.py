"""WebDataset shards: tar files of which members of one name are one sample."""

from __future__ import annotations

import json
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from multitask.data.formats import SUFFIXES
from multitask.data.sources import cells
from multitask.errors import UserError
from multitask.init.layouts.base import Layout, Observed, Options
from multitask.init.layouts.extraction import Extraction

_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_MOST_TEXT = 4096
"""Bytes of a label; longer texts are captions, or no text."""
_LOOKED_AT = 2_000
_SPLIT = re.compile(r"[A-Za-z]+")
Sample = dict[str, bytes]
"""By extension, in lower case."""


class WebDataset(Layout):
    """A shard, or a folder of them: an image and ``.cls``, ``.json`` or other short texts for each key."""

    title = "WebDataset shards"
    extracts = True

    @classmethod
    def fits(cls, path: Path) -> bool:
        """Whether it is a tar file, or a folder that holds some."""
        if path.is_file():
            return path.name.lower().endswith(_SUFFIXES)
        return path.is_dir() and bool(_shards(path)) and not _holds_images(path)

    @classmethod
    def observe(cls, path: Path, options: Options) -> Observed:
        """The samples that have an image, which are written to files."""
        assert options.room is not None, "since it extracts"
        shards = [path] if path.is_file() else _shards(path)
        found = Extraction(options.room)
        without = 0
        for shard in shards:
            # As train-0001.tar, or train/0001.tar.
            word = shard.parent.name if shard.parent not in (path, path.parent) else shard.name
            split = _SPLIT.match(word)
            stem = shard.name[: shard.name.lower().index(".t")]
            place = f"{shard.parent.name}/{stem}" if shard.parent not in (path, path.parent) else stem
            for key, sample in _samples(shard):
                image = _image(sample, f"{shard}, {key}")
                if image is None:
                    without += 1
                    continue
                words = _words(sample, f"{shard}, {key}")
                words.setdefault("split", split[0].lower() if split and len(shards) > 1 else "")
                found.add(f"{place}/{key}", image, words, f"{shard}, {key}")
        if not found.images:
            raise UserError(f"{path}: holds no images")
        columns = {name: words for name, words in found.columns().items() if any(words)}
        what = "sample has no image and is" if without == 1 else "samples have no image and are"
        check = (f"{without:,} {what} left out",) if without else ()
        return Observed(options.room, found.images, columns, None, check=check)


def _shards(folder: Path) -> list[Path]:
    """The shards in a folder, and in those in it."""
    try:
        inner = [Path(entry.path) for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")]
        places = [folder, *sorted(inner)]
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
                folder, _, name = member.name.removeprefix("./").rpartition("/")
                base, dot, extension = name.partition(".")
                if not member.isfile() or not base or not dot:
                    continue
                named = f"{folder}/{base}" if folder else base
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


def _image(sample: Sample, where: str) -> bytes | None:
    """The image of a sample: of several the one whose name has no other dot, as ``.jpg`` beside ``.mask.png``.

    Raises:
        UserError: it may be any of them.
    """
    images = [extension for extension in sample if _is_image(extension)]
    if len(images) > 1:
        images = [extension for extension in images if "." not in extension]
        if len(images) != 1:
            every = ", ".join(f".{extension}" for extension in sample if _is_image(extension))
            raise UserError(
                f"{where}: has several images ({every}); a name counts up to its first dot, so images of their own "
                "need names of their own"
            )
    return sample[images[0]] if images else None


def _is_image(extension: str) -> bool:
    return f".{extension.rpartition('.')[2]}" in SUFFIXES


def _words(sample: Sample, where: str) -> dict[str, str]:
    """What a sample says of its image.

    Raises:
        UserError: its JSON is damaged.
    """
    words: dict[str, str] = {}
    for extension, data in sample.items():
        if _is_image(extension) or len(data) > (_MOST_TEXT * 16 if extension == "json" else _MOST_TEXT):
            continue
        try:
            text = data.decode()
        except UnicodeDecodeError:
            continue
        if extension != "json":
            words[extension] = text.strip()
            continue
        try:
            said = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}.json: is damaged: {str(error).splitlines()[0]}") from None
        if isinstance(said, dict):
            plain = {name: value for name, value in said.items() if not isinstance(value, (dict, list))}
            words |= {str(name): cells.text(value) for name, value in plain.items()}
        elif not isinstance(said, list):
            words[extension] = cells.text(said)
    return words
