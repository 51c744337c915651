"""The samples of a WebDataset shard: read once, and kept on disk for other runs."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multitask.data.sources.base import inside
from multitask.data.sources.shard_sample import Sample, image_of, split_name, words_of
from multitask.errors import UserError
from multitask.utils.files import bytes_digest
from multitask.utils.shared_arrays import default_folder, kept
from multitask.utils.tar_files import Member, Stamp, TarIndex, keep, stamp_of, walk

_VERSION = 1
_SETTLED_S = 2.0
"""A shard that changed less than so long ago may change again without a trace, so what it holds is not kept."""


@dataclass(frozen=True)
class Shard:
    """The samples of a shard that have an image, a list each; and the keys of the others.

    Attributes:
        keys: of the samples.
        images: the names of their images' members.
        places: offset and size of each image in the shard, in bytes.
        digests: of the images' content, as hexadecimal digits.
        words: what is said of each, by extension or field.
        without: the keys of the samples without an image.
    """

    keys: list[str]
    images: list[str]
    places: list[tuple[int, int]]
    digests: list[str]
    words: list[dict[str, str]]
    without: list[str]


def read_shard(path: Path) -> Shard:
    """What a shard holds; from here on its images are read by their paths in it.

    Raises:
        DamagedTarError: it is cut or damaged.
        UserError: it is no tar, or two of its samples have one key.
    """
    stamp = stamp_of(path)
    shard = _kept(path, stamp)
    members = [Member(name, *place) for name, place in zip(shard.images, shard.places, strict=True)]
    keep(TarIndex.of(path, stamp, members, [bytes.fromhex(digest) for digest in shard.digests]))
    return shard


def _kept(path: Path, stamp: Stamp) -> Shard:
    """What a shard holds, from disk where it is there."""
    read: list[Shard] = []

    def make() -> Iterator[NDArray[np.uint8]]:
        read.append(_read(path))
        text = json.dumps(asdict(read[0]), ensure_ascii=False).encode("utf-8", "surrogatepass")
        yield np.frombuffer(text, dtype=np.uint8)[None]

    if stamp[1] / 1e9 + _SETTLED_S > time.time():
        return _read(path)
    key = hashlib.blake2b(repr((_VERSION, str(path.absolute()), stamp)).encode(), digest_size=16).hexdigest()
    try:
        text = kept(default_folder() / f"shards-{key}.npy", 1, make)
    except OSError:  # no room on that disk, or no right to write there: another run reads the shard again
        return read[0] if read else _read(path)
    return read[0] if read else Shard(**json.loads(text.tobytes().decode("utf-8", "surrogatepass")))


def _read(path: Path) -> Shard:
    shard = Shard([], [], [], [], [], [])
    seen: set[str] = set()
    for key, sample, members in _samples(path):
        where = f"{path}, {key}"
        if key in seen:
            raise UserError(f"{where}: comes twice; the members of a sample must follow each other (tar --sort=name)")
        seen.add(key)
        image = image_of(sample, where)
        if image is None:
            shard.without.append(key)
            continue
        member = members[image]
        shard.keys.append(key)
        shard.images.append(inside(member.name, where))
        shard.places.append((member.offset, member.size))
        shard.digests.append(bytes_digest(sample[image]).hex())
        shard.words.append(words_of(sample, where))
    return shard


def _samples(path: Path) -> Iterator[tuple[str, Sample, dict[str, Member]]]:
    """Key, content and places of each sample: members that follow each other and have one name up to its first dot."""
    key, sample, members = "", Sample(), dict[str, Member]()
    for member, data in walk(path):
        parts = split_name(member.name)
        if parts is None:
            continue
        named, extension = parts
        if named != key:
            if sample:
                yield key, sample, members
            key, sample, members = named, Sample(), {}
        if extension.lower() in sample:
            raise UserError(f"{path}, {key}: has .{extension} twice")
        sample[extension.lower()], members[extension.lower()] = data, member
    if sample:
        yield key, sample, members
