"""What is learned of samples: which columns there are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from multitask.data.samples import Samples
from multitask.data.targets import Targets
from multitask.labels import MISSING, LabelSpace, Task

SPACE = LabelSpace([Task("colour", ("red", "green", "blue")), Task("size", ("s", "l"))])
FLAT = LabelSpace([Task("class", SPACE.class_names)])
LABELS = np.array([[0, 1], [2, 0], [1, MISSING]])
CLASSES = np.array([1, 4, MISSING])


@pytest.fixture
def samples() -> Samples:
    names = np.array(["a.jpg", "b.jpg", "c.jpg"], dtype=object)
    numbers = np.array([[np.nan, 3.5], [np.nan, 0.5], [np.nan, np.nan]])
    return Samples(SPACE, Path(), names, names, LABELS, numbers, np.ones(3, dtype=np.float32), names)


@pytest.mark.parametrize(("joint", "expected"), [(False, LABELS), (True, np.hstack([LABELS, CLASSES[:, None]]))])
def test_heads_learn_their_tasks_and_a_joint_term_the_class(
    samples: Samples, joint: bool, expected: NDArray[np.int64]
) -> None:
    targets = Targets.of(samples, SPACE, joint)
    np.testing.assert_array_equal(targets.labels, expected)
    np.testing.assert_array_equal(targets.numbers[:, :2], samples.numbers.astype(np.float32))
    assert targets.numbers.shape == expected.shape
    assert targets.numbers.dtype == np.float32
    assert np.isnan(targets.numbers[:, 2:]).all()


def test_one_head_over_all_classes_learns_the_class_and_no_number(samples: Samples) -> None:
    targets = Targets.of(samples, FLAT, joint=False)
    np.testing.assert_array_equal(targets.labels, CLASSES[:, None])
    assert np.isnan(targets.numbers).all()
