"""Data that is another has another fingerprint; data that is the same at another place has not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from multitask.config import Config
from multitask.data.data_facts import SplitSize
from multitask.data.dataset import Dataset
from multitask.data.fingerprint import describe, fingerprint
from multitask.data.samples import Samples
from multitask.utils.records import to_json_data


@pytest.fixture
def dataset(tiny: Callable[..., Config]) -> Dataset:
    config = tiny()
    return Dataset.read(config.data, config.space(), config.seed)


def row_by_row(samples: Samples, contents: list[bytes]) -> str:
    """The fingerprint as it is said: of each sample's columns as Python writes them, and its file's digest."""
    digest = hashlib.blake2b(digest_size=16)
    for row, (image, group) in enumerate(zip(samples.images, samples.groups, strict=True)):
        labels, numbers = samples.labels[row].tolist(), samples.numbers[row].tolist()
        digest.update(f"{image}\t{group}\t{labels}\t{numbers}\t{samples.weights[row]}".encode())
        for places in (samples.boxes, samples.eyes):
            digest.update(b"" if places is None else f"\t{places[row].tolist()}".encode())
        digest.update(contents[row])
    return digest.hexdigest()


@pytest.mark.parametrize("part", [1, 5, 1 << 16])
@pytest.mark.parametrize("whole", [True, False])
def test_it_is_that_of_the_rows_as_text(
    dataset: Dataset, part: int, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multitask.data.fingerprint._PART", part)
    samples, rng = dataset.samples, np.random.default_rng(0)
    num = len(samples)
    places = rng.random((num, 4))
    places[::3] = np.nan
    others = {"boxes": places, "eyes": -places} if whole else {}
    numbers = np.where(rng.random(samples.numbers.shape) < 0.5, -0.0, np.where(places[:, :1] > 0.5, 0.1, np.nan))
    numbers[3] = 0.0
    weights = rng.choice(np.array([0.1, 1, 2.5, 1e-12], dtype=np.float32), num)
    samples = replace(samples, numbers=numbers, weights=weights, **others).take(rng.permutation(num)[:40])
    contents = [bytes([row]) * 16 for row in range(40)]
    assert fingerprint(samples, contents) == row_by_row(samples, contents)
    assert fingerprint(samples, contents) != fingerprint(samples, contents[::-1])


@pytest.mark.parametrize("column", ["images", "groups", "labels", "numbers", "weights"])
def test_every_column_that_trains_is_in_it(dataset: Dataset, column: str) -> None:
    contents = [b"same"] * len(dataset.samples)
    values = np.array(getattr(dataset.samples, column))
    values[3] = "another" if values.dtype == object else 0
    values[4] = "one" if values.dtype == object else 1
    other = replace(dataset, samples=replace(dataset.samples, **{column: values}))
    assert describe(other, contents).fingerprint != describe(dataset, contents).fingerprint


def test_says_how_much_there_is_and_only_what_there_is(dataset: Dataset) -> None:
    found = describe(dataset, [b"same"] * len(dataset.samples))
    assert (found.num_images, found.num_groups) == (84, 12)
    assert not to_json_data(found).keys() & {"test", "corrections", "roots"}
    test = replace(dataset.split, train=dataset.split.train[7:], test=dataset.split.train[:7])
    more = describe(replace(dataset, split=test, corrections={"tier": "weak"}), [b"same"] * len(dataset.samples))
    assert more.test == SplitSize(7, 1)
    assert more.corrections == {"tier": "weak"}
    assert more.fingerprint == found.fingerprint
    boxes = replace(dataset.samples, boxes=np.zeros((84, 4)))
    assert describe(replace(dataset, samples=boxes), [b"same"] * 84).fingerprint != found.fingerprint
