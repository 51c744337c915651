"""Files that are the same to the byte on both sides of a split."""

from __future__ import annotations

import numpy as np
import pytest

from multitask.data.same_files import same_files_note
from multitask.utils.strings import Strings

CONTENTS = [b"a", b"b", b"a", b"c", b"b", b"d"]


@pytest.mark.parametrize(
    ("sides", "told"),
    [
        (["train", "train", "train", "val", "train", "val"], None),  # twice on one side
        (["train", "train", "val", "val", "train", "val"], "1 file is there to the byte on both sides"),
        (["train", "val", "test", "val", "train", "val"], "2 files are there"),
        (["train", "val", "", "val", "test", "train"], None),  # one is not used, two are not trained on
        (["0", "1", "2", "0", "1", "2"], "1 file is there"),
        (["0", "1", "0", "0", "test", "2"], "1 file is there"),
        (["", "", "", "", "", ""], None),
    ],
)
def test_what_is_trained_on_and_scored_is_told(sides: list[str], told: str | None) -> None:
    images = Strings.of(f"{place}.jpg" for place in range(6))
    found = same_files_note(CONTENTS, np.array(sides, dtype=object), images)
    assert (found is None) if told is None else (found or "").startswith(told)


def test_two_of_them_are_named() -> None:
    sides = np.array(["train", "train", "val", "val", "train", "val"], dtype=object)
    found = same_files_note(CONTENTS, sides, Strings.of(f"{place}.jpg" for place in range(6)))
    assert "as 0.jpg and 2.jpg: what is scored was trained on" in (found or "")


def test_of_three_the_one_that_trains_is_named() -> None:
    sides = np.array(["pick", "train", "test", "val", "val", "train"], dtype=object)
    found = same_files_note(
        [b"a", b"b", b"a", b"c", b"d", b"a"], sides, Strings.of(f"{place}.jpg" for place in range(6))
    )
    assert "as 0.jpg and 5.jpg: what is scored was trained on" in (found or "")
