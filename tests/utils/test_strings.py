"""Columns of strings: whatever is asked of one, an array of objects gives the same answer."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.utils import strings
from multitask.utils.strings import Strings, StringsBuilder, shared_strings
from multitask.utils.texts import TextsBuilder
from tests.utils.test_texts import WORDS


def objects(words: list[str]) -> np.ndarray:
    found = np.empty(len(words), dtype=object)
    found[:] = words
    return found


@settings(max_examples=30)
@given(WORDS, st.data())
def test_it_is_read_as_an_array_of_objects_is(words: list[str], data: st.DataObject) -> None:
    column, expected = Strings.of(words), objects(words)
    rows = np.array(data.draw(st.lists(st.integers(-len(words), len(words) - 1), max_size=40)) if words else [], int)
    mask = np.array([data.draw(st.booleans()) for _ in words], dtype=bool)
    for index in (slice(None), slice(1, None, 2), rows, rows.tolist(), mask):
        assert column[index].tolist() == expected[index].tolist()
        assert column[rows][mask[rows]].tolist() == expected[rows][mask[rows]].tolist()
    assert list(column) == column.tolist() == column.to_numpy().tolist() == np.asarray(column).tolist() == words
    assert [column[row] for row in range(-len(words), len(words))] == words * 2
    assert [one.decode("utf-8", "surrogatepass") for one in column.arrow().to_pylist()] == words
    assert pickle.loads(pickle.dumps(column)).tolist() == words
    if words:
        assert (column == words[0]).tolist() == [word == words[0] for word in words]
        assert (column != words[0]).tolist() == [word != words[0] for word in words]


@given(WORDS, st.data())
def test_numbers_are_those_of_pandas(words: list[str], data: st.DataObject) -> None:
    rows = np.array(data.draw(st.lists(st.integers(0, len(words) - 1), max_size=40)) if words else [], int)
    for column, expected in ((Strings.of(words), objects(words)), (Strings.of(words)[rows], objects(words)[rows])):
        assert column.numbers().tolist() == pd.factorize(expected)[0].tolist()
        places = {word: place for place, word in enumerate(sorted(set(expected)))}
        assert column.ranks()[0].tolist() == [places[word] for word in expected]
        assert column.ranks()[1] == column.num_distinct == len(places)


@given(WORDS, st.data())
def test_distinct_strings_are_counted_in_the_order_of_their_rows(words: list[str], data: st.DataObject) -> None:
    rows = np.array(data.draw(st.lists(st.integers(0, len(words) - 1), max_size=40)) if words else [], int)
    for column, expected in ((Strings.of(words), words), (Strings.of(words)[rows], objects(words)[rows].tolist())):
        assert list(column.counts().items()) == list(Counter(expected).items())
        assert [column.distinct()[number] for number in column.numbers()] == expected


@given(WORDS, st.data())
def test_respelt_each_is_spelt_as_its_string_is(words: list[str], data: st.DataObject) -> None:
    rows = np.array(data.draw(st.lists(st.integers(0, len(words) - 1), max_size=40)) if words else [], int)
    for column, expected in ((Strings.of(words), words), (Strings.of(words)[rows], objects(words)[rows].tolist())):
        assert column.respelt(lambda word: word[:1]).tolist() == [word[:1] for word in expected]
        among = np.array([len(name) > 1 for name in column.names], dtype=bool)
        respelt = column.respelt(lambda word: word[:2] + "!", among)
        assert respelt.tolist() == [word[:2] + "!" if len(word) > 1 else word for word in expected]
        assert respelt.num_distinct == len(set(respelt.tolist()))
        assert column.respelt(str) is column


@given(WORDS)
def test_texts_that_are_equal_are_one_string(words: list[str]) -> None:
    builder = TextsBuilder()
    builder.extend(words)
    column = Strings.of_texts(builder.build())
    assert (column.tolist(), column.num_distinct) == (words, len(set(words)))


@given(WORDS, st.data())
def test_rows_of_one_column_are_compared_by_their_numbers(words: list[str], data: st.DataObject) -> None:
    column, expected = Strings.of(words), objects(words)
    some, others = (np.array([data.draw(st.booleans()) for _ in words], dtype=bool) for _ in range(2))
    assert column.isin(column[some]).tolist() == [word in set(expected[some]) for word in words]
    assert set(shared_strings(column[some], column[others])) == set(expected[some]) & set(expected[others])


def test_a_column_with_few_strings_is_joined_behind_one_with_many() -> None:
    many = [str(number) for number in range(300)]
    joined = Strings.concatenate([Strings.of(many), Strings.repeated("299", 2), Strings.repeated("new", 1)])
    assert joined.tolist() == [*many, "299", "299", "new"]


@given(WORDS, WORDS)
def test_columns_are_joined(words: list[str], more: list[str]) -> None:
    joined = Strings.concatenate([Strings.of(words), Strings.repeated("a", 2), Strings.of(more).prefixed("a")])
    assert joined.tolist() == [*words, "a", "a", *("a" + word for word in more)]
    assert joined.num_distinct == len(set(joined.tolist()))


@pytest.mark.parametrize("index", [3, -4, [3], np.array([-4])])
def test_a_row_that_is_not_there_is_an_index_error(index: object) -> None:
    with pytest.raises(IndexError):
        Strings.of(["a", "b", "c"])[index]


@pytest.mark.parametrize("words", [["a", "b", "c", "d"], ["a", "b", "a", "c", "b", "c"], ["b", "b", "b", "a"]])
def test_of_many_they_are_what_they_are_of_few(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    few = Strings.of(words)
    monkeypatch.setattr(strings, "_FEW", 2)
    many = Strings.of(iter(words))
    assert many.tolist() == words
    assert list(many.names) == list(few.names)
    assert many.codes.tolist() == few.codes.tolist()
    assert many.codes.dtype == few.codes.dtype
    for stop in range(len(words)):
        builder = StringsBuilder()
        builder.extend(words[:stop])
        assert len(builder) == stop
        builder.extend(iter(words[stop:]))
        assert len(builder) == len(words)
        assert builder.build().tolist() == words
