"""Columns of numbers, read all at once: each cell as it would be alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multitask.data.sources.columns import parse_numbers
from multitask.utils.spelling import parse_number

SPELT = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.text(alphabet="0123456789.-+e ,_infa\n٢", max_size=8),
)


@given(st.lists(SPELT, max_size=20))
def test_texts_are_the_numbers_that_each_is_alone(words: list[str]) -> None:
    np.testing.assert_array_equal(parse_numbers(words), [parse_number(word) for word in words])


@pytest.mark.parametrize("word", ["1e3", " 7", "+7", ".5", "-0", "inf", "1_000", "19,90", "7\n", "9" * 400])
def test_a_text_that_is_not_plain_is_read_too(word: str) -> None:
    np.testing.assert_array_equal(parse_numbers(["2", word]), [2.0, parse_number(word)])
