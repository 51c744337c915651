"""A task: raw values become indices of labels, and lines say what is wrong with one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.errors import UserError
from multitask.labels import MISSING, Task

quick = settings(deadline=None, max_examples=60)

GENDER = Task("gender", ("male", "female"))
AGE = Task("age", ("<30", "30-60", ">=60"), "binned", (30.0, 60.0))


class TestTask:
    @pytest.mark.parametrize(
        ("value", "label"),
        [(-5, 0), (0, 0), (29.999, 0), (30, 1), (30.0, 1), ("30", 1), ("29.999", 0), (59.99, 1), (60, 2), ("60.0", 2)],
    )
    def test_an_edge_belongs_to_the_bin_above_it(self, value: object, label: int) -> None:
        assert AGE.index(value) == label

    @given(st.floats(-1e18, 1e18), st.lists(st.floats(-1e6, 1e6), min_size=1, unique=True))
    @quick
    def test_a_bin_is_the_number_of_edges_not_above(self, value: float, edges: list[float]) -> None:
        edges = sorted(edges)
        task = Task("x", tuple(map(str, range(len(edges) + 1))), "binned", tuple(edges))
        assert task.index(value) == sum(edge <= value for edge in edges)

    def test_nothing_is_missing(self) -> None:
        for task in (GENDER, AGE):
            for value in (None, "", " ", "\u00a0\u200b", math.nan):
                assert task.index(value) == MISSING

    @pytest.mark.parametrize(
        "value", ["x", "nan", "inf", math.inf, "30 years", [30], "1_000", "19,90", "1e300", ">=30", "<30"]
    )
    def test_what_is_no_number_is_refused(self, value: object) -> None:
        with pytest.raises(UserError, match=r"^age: must be a number, found"):
            AGE.index(value)

    def test_numbers_that_there_cannot_be(self) -> None:
        age = Task("age", ("<30", ">=30"), "binned", (30.0,), 0.0, 120.0)
        assert [age.index(number) for number in (0, 120, "29", None)] == [0, 1, 0, MISSING]
        for number, line in (
            (
                -1,
                "age: must be at least 0 (labels.tasks.age.lowest), found -1; leave the cell of an unknown number",
            ),
            ("999", "age: must be at most 120 (labels.tasks.age.highest), found 999; leave the cell"),
            ("120.00001", "age: must be at most 120 (labels.tasks.age.highest), found 120.00001; leave the cell"),
        ):
            with pytest.raises(UserError) as caught:
                age.index(number)
            assert str(caught.value).startswith(line)

    def test_an_unknown_class_is_named_with_the_nearest(self) -> None:
        with pytest.raises(UserError, match=r"^gender: unknown class 'femal'; did you mean 'female'"):
            GENDER.index("femal")
        with pytest.raises(UserError, match=r"^gender: unknown class 0; it can be 'male', 'female'$"):
            GENDER.index(0)
