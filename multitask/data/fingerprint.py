"""The digest of a run's data: images, labels, groups and weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import repeat

from multitask.data.data_facts import DataFacts, SplitSize
from multitask.data.dataset import Dataset


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


def describe(dataset: Dataset, contents: Sequence[bytes]) -> DataFacts:
    """The digest of images, labels, groups and weights, and their counts.

    Args:
        dataset: N samples.
        contents: a digest of each image's file, in order.
    """
    samples = dataset.samples
    boxes = repeat("") if samples.boxes is None else (f"\t{box.tolist()}" for box in samples.boxes)
    eyes = repeat("") if samples.eyes is None else (f"\t{both.tolist()}" for both in samples.eyes)
    texts = (
        f"{image}\t{group}\t{labels.tolist()}\t{numbers.tolist()}\t{weight}{box}{both}"
        for image, group, labels, numbers, weight, box, both in zip(
            samples.images, samples.groups, samples.labels, samples.numbers, samples.weights, boxes, eyes, strict=False
        )
    )
    test = dataset.split.test
    return DataFacts(
        root=str(samples.root),
        roots=None if samples.roots is None else {name: str(root) for name, root in samples.roots.items()},
        fingerprint=fingerprint(zip(texts, contents, strict=True)),
        num_images=len(samples),
        num_groups=samples.num_groups,
        test=SplitSize(len(test), len(set(samples.groups[test]))) if len(test) else None,
        corrections=dataset.corrections,
        notes=samples.notes or None,
        other_files=dict(samples.other_files) or None,
        per_group=dataset.per_group or None,
    )
