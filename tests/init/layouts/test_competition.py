from __future__ import annotations

from pathlib import Path

import pytest

from tests.init.layouts.known import Make, layout_of


@pytest.mark.parametrize("part", ["", "train"])
def test_the_competition_is_read_by_its_own_source(drawn: Path, written: Make, part: str) -> None:
    assert layout_of(drawn / part) == "competition"
    found = written(drawn / part)
    assert found.proposal.table is None
    assert found.config.data.source.name == "competition"
    assert found.classes() == {
        "mask": ("wear", "incorrect", "not_worn"),
        "gender": ("male", "female"),
        "age": ("<30", "30-60", ">=60"),
    }
    assert len(found.samples) == 12 * 7
    assert len(set(found.samples.groups)) == 12
