from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.evaluation import attribution
from multitask.evaluation.attribution import attribute
from multitask.labels import LabelSpace, Task

SPACE = LabelSpace([Task("mask", ("a", "b", "c")), Task("gender", ("m", "f")), Task("age", ("x", "y", "z"))])


def space_of(sizes: list[int]) -> LabelSpace:
    return LabelSpace([Task(f"t{i}", tuple(f"c{j}" for j in range(size))) for i, size in enumerate(sizes)])


@st.composite
def answers(draw: st.DrawFn) -> tuple[LabelSpace, np.ndarray, np.ndarray]:
    space = space_of(draw(st.lists(st.integers(2, 4), min_size=1, max_size=4)))
    cells = st.integers(0, space.num_classes - 1)
    rows = np.array(draw(st.lists(st.tuples(cells, cells), min_size=1, max_size=30)))
    return space, rows[:, 0], rows[:, 1]


@given(answers())
@settings(deadline=None, max_examples=80)
def test_score_shares_and_absent_classes_add_up_to_1(case: tuple[LabelSpace, np.ndarray, np.ndarray]) -> None:
    space, truth, guess = case
    found = attribute(truth, guess, space)
    total = found.macro_f1 + math.fsum(found.lost.values()) + found.absent
    assert total == pytest.approx(1.0, abs=1e-12)
    assert list(found.lost) == list(found.perfect) == list(space.task_names)
    assert found.absent == pytest.approx(1 - len(set(truth.tolist())) / space.num_classes)


@given(answers(), st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_perfect_head_loses_nothing(case: tuple[LabelSpace, np.ndarray, np.ndarray], which: int) -> None:
    space, truth, guess = case
    column = which % space.num_tasks
    labels = space.decode(guess)
    labels[:, column] = space.decode(truth)[:, column]
    found = attribute(truth, space.encode(labels), space)
    name = space.task_names[column]
    assert found.lost[name] == 0.0
    assert found.perfect[name] == found.macro_f1


def test_head_that_makes_every_mistake_bears_the_whole_loss() -> None:
    truth = np.arange(18).repeat(2)
    labels = SPACE.decode(truth)
    labels[::2, 2] = (labels[::2, 2] + 1) % 3
    found = attribute(truth, SPACE.encode(labels), SPACE)
    assert found.lost["age"] == pytest.approx(1 - found.macro_f1)
    assert found.lost["mask"] == found.lost["gender"] == 0.0
    assert found.perfect["age"] == 1.0


def test_shares_of_two_heads_by_hand() -> None:
    space = space_of([2, 2])
    truth = np.array([0, 1, 2, 3])
    guess = np.array([0, 0, 0, 3])  # the second: wrong in t1; the third: wrong in t0
    base = (2 / 4 + 0 + 0 + 1) / 4
    with_t0 = (2 / 3 + 0 + 1 + 1) / 4
    with_t1 = (2 / 3 + 1 + 0 + 1) / 4
    found = attribute(truth, guess, space)
    assert found.macro_f1 == pytest.approx(base)
    assert found.perfect == {"t0": pytest.approx(with_t0), "t1": pytest.approx(with_t1)}
    assert found.lost["t0"] == pytest.approx(((with_t0 - base) + (1 - with_t1)) / 2)


def test_beyond_the_limit_only_single_heads_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribution, "MAX_EXACT_TASKS", 2)
    found = attribute(np.array([0, 4]), np.array([0, 5]), SPACE)
    assert found.lost is None
    assert set(found.perfect) == set(SPACE.task_names)


def test_nobody_labelled_is_all_unknown() -> None:
    empty = np.empty(0, dtype=np.int64)
    found = attribute(empty, empty, SPACE)
    assert {found.macro_f1, found.absent, *found.perfect.values(), *found.lost.values()} == {None}
