"""A -1 among ages is told of; a temperature below zero is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from multitask.data.samples import Samples
from multitask.data.sentinels import sentinel_notes, sentinels
from multitask.labels import LabelSpace, Task


@pytest.mark.parametrize(
    ("numbers", "found"),
    [
        ([20, 30, 60, -1], [-1]),
        ([0, 1, 2, -1], [-1]),
        ([20, 30, 60, -999], [-999]),
        ([20, 30, 60, 999], [999]),
        ([20, 30, 60, -1, 999], [-1, 999]),
        ([99, 98, 97, 20], []),  # the old are not far from one another
        ([-1, -2, 3, 20], []),  # degrees
        ([-1.5, 0.5, 2], []),  # logarithms
        ([-1, 1], []),
        ([999, 1200, 300, 10], []),  # prices
        ([500, 700, 999, 10], []),
        ([], []),
    ],
)
def test_codes_are_told_from_numbers(numbers: list[float], found: list[float]) -> None:
    assert sentinels(np.array(numbers, dtype=float)) == found


def test_the_note_says_how_to_go_on() -> None:
    space = LabelSpace([Task("mask", ("a", "b")), Task("age", ("<30", ">=30"), "binned", (30.0,))])
    values = {"mask": ["a"] * 5, "age": ["20", "-1", "40", "-1", ""]}
    samples = Samples.from_values(space, Path("/"), list("abcde"), list("abcde"), values, "test")
    (note,) = sentinel_notes(samples)
    assert note.startswith("age: the number of 2 images is -1, beyond all others; if it stands for unknown, leave the")
    assert "labels.tasks.age.lowest" in note
