"""WebDataset shards: tar files of which members of one name are one sample."""

from __future__ import annotations

import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from multitask.data.formats import SUFFIXES
from multitask.data.sources.shard_sample import Sample, image_of, split_name, words_of
from multitask.errors import UserError
from multitask.init.layouts.base import Layout, Observed, Options
from multitask.init.layouts.extraction import Extraction

_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_LOOKED_AT = 2_000
_SPLIT = re.compile(r"[A-Za-z]+")


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
                where = f"{shard}, {key}"
                image = image_of(sample, where)
                if image is None:
                    without += 1
                    continue
                words = words_of(sample, where)
                words.setdefault("split", split[0].lower() if split and len(shards) > 1 else "")
                found.add(f"{place}/{key}", sample[image], words, where)
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
