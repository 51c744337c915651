from __future__ import annotations

from multitask.init.one_hot import _one_of_each
from multitask.utils.strings import Strings


def test_columns_with_as_many_ones_as_rows_are_no_label_where_a_row_has_two() -> None:
    rows = {"a": ["1", "0", "1"], "b": ["1", "0", "0"], "c": ["0", "0", "0"]}
    assert _one_of_each({name: Strings.of(words) for name, words in rows.items()}) == []
    rows["a"] = ["0", "1", "1"]
    assert _one_of_each({name: Strings.of(words) for name, words in rows.items()}) == ["a", "b", "c"]
