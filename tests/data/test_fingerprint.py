"""Data that is another has another fingerprint; data that is the same at another place has not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from multitask.config import Config
from multitask.data.data_facts import SplitSize
from multitask.data.dataset import Dataset
from multitask.data.fingerprint import describe, fingerprint
from multitask.utils.records import to_json_data


@pytest.fixture
def dataset(tiny: Callable[..., Config]) -> Dataset:
    config = tiny()
    return Dataset.read(config.data, config.space(), config.seed)


def test_fingerprint_depends_on_rows_content_and_order() -> None:
    rows = [("one", b"a"), ("two", b"b")]
    first = fingerprint(rows)
    assert first == fingerprint(rows)
    assert first != fingerprint(rows[::-1])
    assert first != fingerprint([("one", b"a"), ("too", b"b")])
    assert first != fingerprint([("one", b"a"), ("two", b"c")])


@pytest.mark.parametrize("column", ["images", "groups", "labels", "numbers", "weights"])
def test_every_column_that_trains_is_in_it(dataset: Dataset, column: str) -> None:
    contents = [b"same"] * len(dataset.samples)
    values = getattr(dataset.samples, column).copy()
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
