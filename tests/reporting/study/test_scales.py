from __future__ import annotations

import pytest

from multitask.reporting.study.report_schema import Param
from multitask.reporting.study.scales import SettingScale


def number(low, high, log=False, kind="float"):
    return Param("x", kind, low, high, log, None, None)


def categories(*choices):
    return Param("x", "categorical", None, None, False, None, choices)


def test_a_linear_axis():
    scale = SettingScale(number(0.0, 2.0), [0.5])
    assert [scale.place(value) for value in (0.0, 0.5, 2)] == [0.0, 0.25, 1.0]
    assert scale.start == 0


def test_a_logarithmic_axis():
    scale = SettingScale(number(1e-4, 1e-2, log=True), [])
    assert [scale.place(value) for value in (1e-4, 1e-3, 1e-2)] == pytest.approx([0, 0.5, 1])
    assert [place for place, _ in scale.ticks(4)] == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        (number(0.0, 1.0), ["0", "0.5", "1"]),
        (number(1, 4, kind="int"), ["1", "2", "3", "4"]),
        (number(8, 256, log=True, kind="int"), ["10", "20", "50", "100", "200"]),
        (number(3e-4, 3e-3, log=True), ["0.0005", "0.001", "0.002"]),
        (number(0.31, 0.33), ["0.31", "0.32", "0.33"]),
        (number(0.311, 0.312, log=True), ["0.311", "0.3115", "0.312"]),
    ],
)
def test_ticks_are_round_numbers_from_end_to_end(param, expected):
    ticks = SettingScale(param, []).ticks(4)
    assert [text for _, text in ticks if text in expected] == expected
    assert len({text for _, text in ticks}) == len(ticks)
    assert len(ticks) <= 6
    assert all(-1e-9 <= place <= 1 + 1e-9 for place, _ in ticks)


def test_many_decades_have_few_ticks():
    assert 2 <= len(SettingScale(number(1e-8, 10, log=True), []).ticks(4)) <= 5


def test_values_outside_the_space_widen_the_axis():
    scale = SettingScale(number(0.0, 1.0), [4.0, -1.0])
    assert [scale.place(value) for value in (-1.0, 0.0, 4.0)] == [0, 0.2, 1]


def test_what_has_no_place_stands_before_the_beginning_and_is_named():
    scale = SettingScale(number(1e-4, 1e-2, log=True), [0, None, 1e-3, 0])
    assert scale.start < scale.place(0) + 1e-9 < 0
    assert scale.place(None) < scale.place(0) < scale.place(1e-4) == 0
    assert {text for place, text in scale.ticks(4) if place < -1e-9} == {"0", "null"}


def test_a_boolean_among_numbers_is_no_number():
    assert SettingScale(number(0.0, 1.0), [True]).place(True) < 0


def test_choices_stand_apart_by_kind_in_their_order():
    scale = SettingScale(categories(True, 1, "1.5", None), [])
    assert [scale.place(value) for value in (True, 1, "1.5", None)] == [0.125, 0.375, 0.625, 0.875]
    assert [text for _, text in scale.ticks(4)] == ["true", "1", "1.5", "null"]
    assert scale.categorical


def test_a_base_with_another_choice_is_added():
    scale = SettingScale(categories("a", "b"), ["c", "a"])
    assert [text for _, text in scale.ticks(4)] == ["a", "b", "c"]
    assert scale.place("c") == pytest.approx(5 / 6)


def test_a_range_of_one_value_stands_in_the_middle():
    scale = SettingScale(number(0.3, 0.3), [0.3])
    assert scale.place(0.3) == 0.5
    assert scale.ticks(4) == [(0.5, "0.3")]
