"""Groups of images as numbers, by which groups are drawn: the same for the same names."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from multitask.inference.group_keys import group_key, group_numbers, group_of
from multitask.utils.strings import Strings

NAMES = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3)


@given(st.lists(NAMES, max_size=130))
def test_numbers_are_places_of_sorted_names_and_then_of_places_as_text(groups: list[str | None]) -> None:
    names = [str(row) if group is None else f"/{group}" for row, group in enumerate(groups)]
    expected = np.unique(np.array(names, dtype=str), return_inverse=True)[1] if names else np.empty(0)
    assert group_numbers(Strings.of(map(group_key, groups))).tolist() == expected.tolist()
    assert [group_of(group_key(group)) for group in groups] == groups
