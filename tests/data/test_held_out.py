from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.data.held_out import without_classes
from multitask.data.samples import Samples
from multitask.data.splits import hold_out
from multitask.errors import UserError
from multitask.labels import MISSING
from tests.data.made_samples import SPACE, people, tables


def test_images_of_held_out_cells_do_not_train_and_nothing_else_changes() -> None:
    samples = people(60)
    split = hold_out(samples, 0.2, 0)
    unseen = SPACE.cells([{"gender": "female", "age": ">=60"}, {"mask": "incorrect", "age": "<30"}], "x")
    found = without_classes(samples, split.train, unseen)
    assert unseen[samples.classes[split.train]].any()
    assert found.tolist() == [row for row in split.train if not unseen[samples.classes[row]]]


@given(tables(), st.integers(0, 5), st.integers(0, 1))
@settings(deadline=None, max_examples=80)
def test_an_image_that_may_be_of_a_held_out_cell_does_not_train(samples: Samples, cell: int, more: int) -> None:
    unseen = np.isin(np.arange(6), [cell, (cell + more) % 6])
    cells = samples.space.decode(np.flatnonzero(unseen))
    kept = [
        row
        for row, labels in enumerate(samples.labels)
        if not any(all(a in (b, MISSING) for a, b in zip(labels, held, strict=True)) for held in cells)
    ]
    lost = [
        set(samples.labels[:, column].tolist()) - set(samples.labels[kept, column].tolist()) - {MISSING}
        for column in (0, 1)
    ]
    if any(lost) or not kept:
        with pytest.raises(UserError, match=r"^data\.held_out: leaves no"):
            without_classes(samples, np.arange(len(samples)), unseen)
    else:
        assert without_classes(samples, np.arange(len(samples)), unseen).tolist() == kept


def test_a_label_that_only_held_out_images_have_is_named() -> None:
    samples = people(60)
    rows = np.flatnonzero((samples.labels[:, 2] != 2) | (samples.labels[:, 1] == 1))  # the old are all female
    samples = samples.take(rows)
    unseen = SPACE.cells([{"gender": "female", "age": ">=60"}], "x")
    line = r"^data\.held_out: leaves no image of age '>=60' to train on; every label must be seen in some other"
    with pytest.raises(UserError, match=line):
        without_classes(samples, np.arange(len(samples)), unseen)


def test_a_label_that_nobody_has_is_nothing_that_was_lost() -> None:
    samples = people(60)
    samples = samples.take(np.flatnonzero(samples.labels[:, 2] != 2))
    unseen = SPACE.cells([{"gender": "female", "mask": "incorrect"}], "x")
    assert len(without_classes(samples, np.arange(len(samples)), unseen))
