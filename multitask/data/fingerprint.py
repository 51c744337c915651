"""The digest of a run's data: images, labels, groups and weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from multitask.data.data_facts import DataFacts, SplitSize
from multitask.data.dataset import Dataset
from multitask.data.samples import Samples
from multitask.utils.texts import release_arrow

if TYPE_CHECKING:
    import pyarrow as pa

_PART = 1 << 16
"""Samples whose texts are made at a time."""


def fingerprint(samples: Samples, contents: Sequence[bytes]) -> str:
    """A digest of images, their groups, labels, numbers, weights, boxes and eyes.

    Args:
        samples: N.
        contents: a digest of each image's file, in order.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    assert len(contents) == len(samples)
    digest = hashlib.blake2b(digest_size=16)
    files = iter(contents)
    for start in range(0, len(samples), _PART):
        part = samples.take(np.arange(start, min(start + _PART, len(samples))))
        of_files = pa.array(islice(files, len(part)), pa.large_binary())
        pieces = [pa.scalar(piece, pa.large_binary()) if isinstance(piece, bytes) else piece for piece in _texts(part)]
        rows = pc.binary_join_element_wise(*pieces, of_files, pa.scalar(b"", pa.large_binary()))
        digest.update(memoryview(rows.buffers()[2] or b""))
        del part, pieces, rows, of_files
    release_arrow()
    return digest.hexdigest()


def _texts(samples: Samples) -> Iterator[pa.Array | bytes]:
    """What stands of each of N samples in the digest, piece by piece: (N,) texts, or one for all."""
    yield from (samples.images.arrow(), b"\t", samples.groups.arrow(), b"\t")
    yield from _lists(samples.labels)
    yield b"\t"
    yield from _lists(samples.numbers)
    yield from (b"\t", _column(samples.weights, format))  # of 0.1 in single precision more than str says
    for places in (samples.boxes, samples.eyes):
        if places is not None:
            yield b"\t"
            yield from _lists(places)


def _lists(values: NDArray[Any]) -> Iterator[pa.Array | bytes]:
    """The rows of (N, M) numbers as Python writes lists."""
    for place, column in enumerate(values.T):
        yield b", " if place else b"["
        yield _column(column, lambda value: repr(value.item()))
    yield b"]"


def _column(values: NDArray[Any], text: Callable[[Any], str]) -> pa.Array:
    """(N,) texts of numbers, each different one made once."""
    import pyarrow as pa

    values = np.ascontiguousarray(values)
    bits = values.view(f"i{values.itemsize}")  # -0.0 is no 0.0 here
    _, first, places = np.unique(bits, return_index=True, return_inverse=True)
    return pa.array([text(value).encode() for value in values[first]], pa.large_binary()).take(pa.array(places))


def describe(dataset: Dataset, contents: Sequence[bytes]) -> DataFacts:
    """The digest of images, labels, groups and weights, and their counts.

    Args:
        dataset: N samples.
        contents: a digest of each image's file, in order.
    """
    samples = dataset.samples
    test = dataset.split.test
    return DataFacts(
        root=str(samples.root),
        roots=None if samples.roots is None else {name: str(root) for name, root in samples.roots.items()},
        fingerprint=fingerprint(samples, contents),
        num_images=len(samples),
        num_groups=samples.num_groups,
        test=SplitSize(len(test), samples.groups[test].num_distinct) if len(test) else None,
        corrections=dataset.corrections,
        notes=samples.notes or None,
        other_files=dict(samples.other_files) or None,
        per_group=dataset.per_group or None,
    )
