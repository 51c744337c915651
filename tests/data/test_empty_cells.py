"""Which classes have no image, and the fewest lines that say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.data.empty_cells import empty_cells, smallest_selections
from multitask.data.samples import Samples
from multitask.data.splits import Split
from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace, Task

SUITS = Task("suit", ("hearts", "spades"))
COLOURS = Task("colour", ("red", "black"))
RANKS = Task("rank", ("king", "ace", "joker"))
NOBODY = np.empty(0, dtype=np.int64)


def samples_of(space: LabelSpace, *labels: tuple[int, ...]) -> Samples:
    values = {
        task.name: [None if row[place] == MISSING else task.classes[row[place]] for row in labels]
        for place, task in enumerate(space.tasks)
    }
    names = [str(row) for row in range(len(labels))]
    return Samples.from_values(space, Path("/"), names, names, values, "test")


def test_a_class_of_no_split_is_told_from_one_that_does_not_train() -> None:
    space = LabelSpace([SUITS, COLOURS])
    samples = samples_of(space, (0, 0), (1, 1), (1, 0))
    found = empty_cells(samples, Split(np.array([0]), np.array([1]), np.array([2])))
    assert found.never == ("hearts/black",)
    assert found.untrained == ("spades/red", "spades/black")
    assert found.impossible == ({"suit": "hearts", "colour": "black"},)
    declared = LabelSpace([SUITS, COLOURS], found.impossible)
    again = empty_cells(samples_of(declared, (0, 0), (1, 1), (1, 0)), Split(np.arange(3), NOBODY))
    assert (again.never, again.untrained, again.impossible) == ((), (), ())


def test_what_is_declared_already_stays_in_the_lines() -> None:
    space = LabelSpace([SUITS, COLOURS], [{"suit": "hearts", "colour": "black"}])
    found = empty_cells(samples_of(space, (0, 0), (1, 1)), Split(np.arange(2), NOBODY))
    assert found.never == ("spades/red",)
    assert list(found.impossible) == [{"suit": "hearts", "colour": "black"}, {"suit": "spades", "colour": "red"}]


def test_what_chance_may_have_kept_apart_comes_last_and_is_counted() -> None:
    space = LabelSpace([SUITS, COLOURS, RANKS])
    rows = [(0, 0, 0)] * 12 + [(1, 1, 0)] * 12 + [(1, 1, 1)]
    found = empty_cells(samples_of(space, *rows), Split(np.arange(25), NOBODY))
    assert found.num_expected == 3
    assert found.impossible == (
        {"rank": "joker"},  # of no image
        {"suit": "hearts", "colour": "black"},
        {"suit": "spades", "colour": "red"},
        {"suit": "hearts", "rank": "ace"},  # an ace is on one image
    )
    declared = LabelSpace([SUITS, COLOURS, RANKS], [{"suit": "hearts", "rank": "ace"}])
    found = empty_cells(samples_of(declared, *rows), Split(np.arange(25), NOBODY))
    assert {"suit": "hearts", "rank": "ace"} in found.impossible[: found.num_expected]


def test_an_image_with_some_labels_may_be_of_any_class_that_has_them() -> None:
    space = LabelSpace([SUITS, COLOURS])
    split = Split(np.arange(2), NOBODY)
    assert empty_cells(samples_of(space, (0, MISSING), (1, 1)), split).never == ("spades/red",)
    assert empty_cells(samples_of(space, (MISSING, 0), (1, 1)), split).never == ("hearts/black",)
    assert len(empty_cells(samples_of(space, (MISSING, MISSING), (1, 1)), split).never) == 3  # which says nothing
    more = samples_of(space, (0, 0), (0, MISSING), (1, 1), (MISSING, 1))  # as others are that have all of theirs
    found = empty_cells(more, Split(np.arange(4), NOBODY))
    assert found.never == ("hearts/black", "spades/red")
    assert found.num_partly == 2
    assert empty_cells(samples_of(space, (0, 0), (1, 1)), split).num_partly is None


def test_labels_that_few_groups_tell_together_may_be_kept_apart_by_chance() -> None:
    space = LabelSpace([SUITS, COLOURS])
    both, one = [(0, 0), (1, 1), (1, 0)], [(0, MISSING), (1, MISSING), (MISSING, 0), (MISSING, 1)]
    rows = both * 3 + one * 10
    found = empty_cells(samples_of(space, *rows), Split(np.arange(len(rows)), NOBODY))
    assert found.never == ("hearts/black",)
    assert found.num_expected == 0  # of 49 groups a quarter would have both labels, of the nine that tell both two
    rows = both * 20 + one * 10
    assert empty_cells(samples_of(space, *rows), Split(np.arange(len(rows)), NOBODY)).num_expected == 1


def test_a_label_that_never_occurs_is_one_line() -> None:
    space = LabelSpace([SUITS, COLOURS, RANKS])
    cells = space.cells([{"rank": "joker"}, {"suit": "hearts", "colour": "black"}], "here")
    assert smallest_selections(space, cells) == [{"rank": "joker"}, {"suit": "hearts", "colour": "black"}]


@given(st.lists(st.booleans(), min_size=12, max_size=12))
@settings(deadline=None)
def test_the_lines_are_of_these_cells_and_no_others(cells: list[bool]) -> None:
    space = LabelSpace([SUITS, COLOURS, RANKS])
    wanted = np.array(cells)
    lines = smallest_selections(space, wanted)
    assert (space.cells(lines, "here") == wanted).all()
    assert len(lines) <= wanted.sum()


@pytest.mark.parametrize("labels", [(0, 1, 0), (0, 1, MISSING), (MISSING, MISSING, 2), (1, MISSING, 2)])
def test_labels_that_only_impossible_classes_have_are_refused(labels: tuple[int, ...]) -> None:
    space = LabelSpace([SUITS, COLOURS, RANKS], [{"suit": "hearts", "colour": "black"}, {"rank": "joker"}])
    assert len(samples_of(space, (0, 0, 0), (0, MISSING, 1), (MISSING, 1, MISSING), (MISSING,) * 3)) == 4
    with pytest.raises(UserError, match=r"^/1: is labelled '.*', which labels\.impossible says cannot occur"):
        samples_of(space, (0, 0, 0), labels)
