"""The table of samples: columns that belong together, and lines that name the image at fault."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multitask.data.samples import Samples
from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace, Task

TASKS = [Task("colour", ("red", "blue")), Task("size", ("small", "large"), "binned", (10.0,))]


def table(colours: list[Any], sizes: list[Any], impossible: list[dict[str, str]] | None = None) -> Samples:
    num = len(colours)
    return Samples.from_values(
        LabelSpace(TASKS, impossible or ()),
        Path("/data"),
        [f"{index}.jpg" for index in range(num)],
        [f"g{index // 2}" for index in range(num)],
        {"colour": colours, "size": sizes},
        "made up",
    )


def test_values_become_labels_and_numbers() -> None:
    samples = table(["red", "blue", None, "blue"], [9.5, "10", "", math.nan])
    assert samples.labels.tolist() == [[0, 0], [1, 1], [MISSING, MISSING], [1, MISSING]]
    assert samples.classes.tolist() == [0, 3, MISSING, MISSING]
    assert np.isnan(samples.numbers[:, 0]).all()
    np.testing.assert_equal(samples.numbers[:, 1], [9.5, 10.0, np.nan, np.nan])
    assert (samples.labels.dtype, samples.numbers.dtype) == (np.int8, np.float32)
    assert samples.weights.tolist() == [1, 1, 1, 1]
    assert list(samples.sources) == ["made up"] * 4
    assert samples.num_groups == 2
    assert samples.paths()[1] == Path("/data/1.jpg")


def test_taking_keeps_the_columns_together_in_the_order_asked() -> None:
    samples = table(["red", "blue", "blue"], [1, 20, 3])
    taken = samples.take(np.array([2, 0]))
    assert len(taken) == 2
    assert list(taken.images) == ["2.jpg", "0.jpg"]
    assert list(taken.groups) == ["g1", "g0"]
    assert taken.labels.tolist() == [[1, 0], [0, 0]]
    assert taken.numbers[:, 1].tolist() == [3.0, 1.0]
    assert taken.space is samples.space


def test_no_samples_at_all_names_the_root() -> None:
    with pytest.raises(UserError, match=r"^/data: holds no samples$"):
        table([], [])


@pytest.mark.parametrize(
    ("colours", "sizes", "line"),
    [
        (["red", "bleu"], [1, 1], r"^/data/1\.jpg: colour: unknown class 'bleu'; did you mean 'blue'"),
        (["red", "red"], [1, "x"], r"^/data/1\.jpg: size: must be a number, found 'x'$"),
    ],
)
def test_a_wrong_value_names_its_image(colours: list[Any], sizes: list[Any], line: str) -> None:
    with pytest.raises(UserError, match=line):
        table(colours, sizes)


def test_a_cell_that_cannot_occur_names_its_image_and_a_missing_label_is_none() -> None:
    impossible = [{"colour": "blue", "size": "large"}]
    assert len(table(["red", "blue", None], [20, 1, 20], impossible)) == 3
    line = r"^/data/2\.jpg: is labelled 'blue/large', which labels\.impossible says cannot occur$"
    with pytest.raises(UserError, match=line):
        table(["red", "blue", "blue"], [20, 1, 20], impossible)
