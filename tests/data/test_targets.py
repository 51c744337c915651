"""What is learned of samples: which columns there are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from multitask.data.samples import Samples
from multitask.data.targets import Targets, agreeing_classes, check_learnable
from multitask.errors import UserError
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
    np.testing.assert_array_equal(targets.labels[:2], CLASSES[:2, None])
    assert np.isnan(targets.numbers).all()


def test_a_partial_label_says_which_classes_agree_with_it() -> None:
    space = LabelSpace(SPACE.tasks, impossible=[{"colour": "red", "size": "l"}])
    labels = np.array([[c, s] for c in range(MISSING, 3) for s in range(MISSING, 2)])
    labels = labels[(labels != [0, 1]).any(axis=1)]
    names = np.array([f"{row}.jpg" for row in range(len(labels))], dtype=object)
    numbers = np.full(labels.shape, np.nan)
    samples = Samples(space, Path(), names, names, labels, numbers, np.ones(len(labels), dtype=np.float32), names)
    found = Targets.of(samples, space.flattened(), joint=False).labels[:, 0]
    cells = space.decode(np.arange(space.num_classes))
    for row, target in zip(labels, found, strict=True):
        known = row != MISSING
        if known.all():
            assert target == space.encode(row)
        elif not known.any():
            assert target == MISSING
        else:
            expected = (cells[:, known] == row[known]).all(axis=1) & space.possible
            np.testing.assert_array_equal(agreeing_classes(int(target), space), expected)
    assert len({*found[found < MISSING]}) == ((labels == MISSING).sum(axis=1) == 1).sum()


class TestWeightsOfSources:
    @pytest.fixture
    def mixed(self, samples: Samples) -> Samples:
        return replace(
            samples,
            sources=np.array(["ones", "twos", "twos"], dtype=object),
            weights=np.array([1, 2, 4], dtype=np.float32),
        )

    def test_multiply_the_samples_own_loss_by_loss(self, mixed: Samples) -> None:
        targets = Targets.of(mixed, SPACE, True, {"twos": {"size": 0.5, "joint": 0}})
        expected = [[1, 1, 1], [2, 1, 0], [4, 2, 0]]
        np.testing.assert_array_equal(targets.loss_weights(mixed), expected)

    def test_are_the_samples_own_where_no_source_says_otherwise(self, mixed: Samples) -> None:
        targets = Targets.of(mixed, SPACE, True, {})
        assert targets.loss_weights(mixed) is mixed.weights

    def test_must_leave_a_head_something_to_learn(self, mixed: Samples) -> None:
        targets = Targets.of(mixed, SPACE, False, {"ones": {"size": 0}, "twos": {"size": 0}})
        line = r"^heads\.size: counts no image: data\.source\.sources\.\*\.weights\.size is 0 for all .* have a label"
        with pytest.raises(UserError, match=line):
            check_learnable(mixed, targets, SPACE, {"colour": 1, "size": 1})
        check_learnable(mixed, targets, SPACE, {"colour": 1, "size": 0})

    def test_must_leave_the_joint_term_something_to_learn(self, mixed: Samples) -> None:
        weights = {"colour": 1, "size": 1, "joint": 1}
        targets = Targets.of(mixed, SPACE, True, {"ones": {"joint": 0}, "twos": {"joint": 0}})
        with pytest.raises(
            UserError, match=r"^joint: counts no image: .*\.weights\.joint is 0 for all .* have all labels"
        ):
            check_learnable(mixed, targets, SPACE, weights)
        check_learnable(mixed, targets, SPACE, {**weights, "joint": 0})
        check_learnable(mixed, Targets.of(mixed, SPACE, True, {"ones": {"joint": 0}}), SPACE, weights)

    def test_of_the_samples_themselves_must_leave_a_head_something_to_learn(self, samples: Samples) -> None:
        labels = samples.labels.copy()
        labels[1:, 1] = MISSING
        labels[0, 1] = 0
        weights = np.array([0, 1, 1], dtype=np.float32)
        few = replace(samples, labels=labels, weights=weights)
        line = r"^heads\.size: counts no image: data\.source\.weight is 0 for all 1 that train and have a label for it"
        for by_source in ({}, {"a": {"size": 0.5}}):
            with pytest.raises(UserError, match=line):
                check_learnable(few, Targets.of(few, SPACE, False, by_source), SPACE, {"colour": 1, "size": 1})
        check_learnable(few, Targets.of(few, SPACE, False), SPACE, {"colour": 1, "size": 0})
        some = replace(few, weights=np.array([2, 0, 1], dtype=np.float32))
        check_learnable(some, Targets.of(some, SPACE, False), SPACE, {"colour": 1, "size": 1})

    @pytest.mark.parametrize(("column", "key"), [(1, "heads.size: none of the 3 images"), (0, "heads.colour: none of")])
    def test_are_not_what_is_named_where_there_is_no_label(self, mixed: Samples, column: int, key: str) -> None:
        labels = mixed.labels.copy()
        labels[:, column] = MISSING
        unlabelled = replace(mixed, labels=labels)
        targets = Targets.of(unlabelled, SPACE, False, {"ones": {"size": 0.5}})
        with pytest.raises(UserError, match=rf"^{key}"):
            check_learnable(unlabelled, targets, SPACE, {"colour": 1, "size": 1})
