"""Texts in one buffer: what they hash to, and how far their offsets reach."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multitask.utils.strings import Strings
from multitask.utils.texts import Texts, TextsBuilder

WORDS = st.lists(
    st.sampled_from(["", "a", "b", "ab", "a\0", "é", "e\u0301", "가", "\ud800", "\uffff", "😀", "x" * 9]) | st.text(),
    max_size=30,
)


@given(WORDS)
def test_hashes_are_alike_for_equal_texts_alone(words: list[str]) -> None:
    hashes = Texts.of(words).hashes().tolist()
    assert len(set(zip(hashes, words, strict=True))) == len(set(hashes)) == len(set(words))


def test_texts_beyond_two_gigabytes_have_wider_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multitask.utils.texts.MOST_NARROW", 3)
    builder = TextsBuilder()
    builder.extend(["ab", "cd", "ab"])
    texts = builder.build()
    assert texts.offsets.dtype == np.int64
    codes, names = texts.distinct()
    assert (codes.tolist(), list(names), names.ranks().tolist()) == ([0, 1, 0], ["ab", "cd"], [0, 1])
    assert Strings(names, codes).arrow().to_pylist() == [b"ab", b"cd", b"ab"]


@given(WORDS, WORDS, st.sampled_from([0, 1 << 16]))
def test_texts_are_sorted_as_strings_are(words: list[str], more: list[str], few: int) -> None:
    builder = TextsBuilder()
    builder.extend(words)
    builder.extend_texts(Texts.of(more))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("multitask.utils.texts._FEW", few)
        assert list(builder.build_sorted()) == sorted([*words, *more])
