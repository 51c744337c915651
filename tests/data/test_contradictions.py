"""Groups that contradict what is declared: named, counted, settled."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from multitask.data.contradictions import ContradictionsName, settle_contradictions
from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace
from tests.data.test_per_group import CONSTANT, PAIRS, make

GROUPS = ["a", "a", "a", "b", "b", "c", "c", "a"]
LABELS = [[0, 0], [0, 1], [1, 1], [0, 0], [0, 1], [1, 1], [0, 1], [0, MISSING]]


def settled(how: ContradictionsName) -> tuple[list[list[int]], list[int], tuple[str, ...]]:
    samples, rows = settle_contradictions(make(LABELS, GROUPS, {"gender": True}), how)
    return samples.labels.tolist(), rows.tolist(), samples.notes


def test_groups_that_contradict_are_named() -> None:
    labels = [row.copy() for row in CONSTANT]
    for place in (0, 4, 6, 8, 10):
        labels[place][1] = 1 - labels[place][1]
    for declared in ({}, {"gender": False}):
        samples = make(labels, PAIRS, declared)
        assert settle_contradictions(samples, "error")[0] is samples
    told = (
        "labels.tasks.gender.per_group: is true, but 5 groups have images with different labels: p0, p2, p3 and 2 more"
    )
    with pytest.raises(UserError, match=rf"^{re.escape(told)}; correct them"):
        settle_contradictions(make(labels, PAIRS, {"gender": True}), "error")
    with pytest.raises(UserError, match="but a group has images with different labels: p0; "):
        settle_contradictions(make(labels[:4], PAIRS[:4], {"gender": True}), "error")


def test_the_majority_decides_a_tie_leaves_none_and_what_is_missing_stays_so() -> None:
    labels, rows, notes = settled("majority")
    assert [label for _, label in labels] == [1, 1, 1, MISSING, MISSING, 1, 1, MISSING]
    assert [label for label, _ in labels] == [label for label, _ in LABELS]  # no other task is touched
    assert rows == list(range(8))
    assert len(notes) == 1
    assert "2 groups have images with different labels: a, b (they get the label" in notes[0]


def test_a_number_that_was_another_labels_is_forgotten() -> None:
    samples = make(LABELS, GROUPS, {"gender": True})
    samples.numbers[:, 1] = np.arange(8)
    found = settle_contradictions(samples, "majority")[0].numbers[:, 1]
    assert np.isnan(found).tolist() == [True, False, False, True, True, False, False, False]


def test_groups_that_contradict_are_left_out() -> None:
    labels, rows, notes = settled("drop")
    assert (labels, rows) == ([[1, 1], [0, 1]], [5, 6])
    assert "left out" in notes[0]


def test_kept_groups_stay_as_they_are_and_are_told() -> None:
    labels, rows, notes = settled("keep")
    assert (labels, rows) == (LABELS, list(range(8)))
    assert "a, b (they are kept as they are)" in notes[0]


def test_a_majority_may_not_make_a_class_that_cannot_occur() -> None:
    samples = make(LABELS, GROUPS, {"gender": True})
    space = LabelSpace(samples.space.tasks, impossible=[{"mask": "a", "gender": "b"}])
    labels = np.array([[1, 1], [1, 1], [0, 0]])
    samples = replace(samples.take(np.array([0, 1, 2])), space=space, labels=labels)
    line = r"^data\.contradictions: the majority of a group .*2\.jpg: is labelled 'a/b', which labels\.impossible says"
    with pytest.raises(UserError, match=line):
        settle_contradictions(samples, "majority")
    assert settle_contradictions(samples, "keep")[0].labels.tolist() == labels.tolist()


def test_that_nothing_is_left_is_refused() -> None:
    with pytest.raises(UserError, match=r"^data\.contradictions: drop leaves no image"):
        settle_contradictions(make(LABELS[:5], GROUPS[:5], {"gender": True}), "drop")
