"""The digest of a run's data: images, labels, groups and weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multitask.data.dataset import Dataset
from multitask.data.samples import Samples


def fingerprint(rows: Iterable[tuple[str, bytes]]) -> str:
    """A digest of images and their rows of the table.

    Args:
        rows: per image, everything the run takes from its row of the table, as text, and its file's digest.
    """
    digest = hashlib.blake2b(digest_size=16)
    for text, content in rows:
        digest.update(text.encode())
        digest.update(content)
    return digest.hexdigest()


def describe(dataset: Dataset, contents: Sequence[bytes]) -> dict[str, Any]:
    """The head of ``data.json``: the digest of images, labels, groups and weights, and their counts.

    Args:
        dataset: N samples.
        contents: a digest of each image's file, in order.
    """
    samples = dataset.samples
    boxes = repeat("") if samples.boxes is None else (f"\t{box.tolist()}" for box in samples.boxes)
    texts = (
        f"{image}\t{group}\t{labels.tolist()}\t{numbers.tolist()}\t{weight}{box}"
        for image, group, labels, numbers, weight, box in zip(
            samples.images, samples.groups, samples.labels, samples.numbers, samples.weights, boxes, strict=False
        )
    )
    test = dataset.split.test
    return {
        "root": str(samples.root),
        **({} if samples.roots is None else {"roots": {name: str(root) for name, root in samples.roots.items()}}),
        "fingerprint": fingerprint(zip(texts, contents, strict=True)),
        "num_images": len(samples),
        "num_groups": samples.num_groups,
        **({"test": _size(samples, test)} if len(test) else {}),
        **({} if dataset.corrections is None else {"corrections": dataset.corrections}),
        **({"notes": list(samples.notes)} if samples.notes else {}),
        **({"other_files": dict(samples.other_files)} if samples.other_files else {}),
    }


def _size(samples: Samples, indices: NDArray[np.int64]) -> dict[str, int]:
    return {"num_images": len(indices), "num_groups": len(set(samples.groups[indices]))}
