from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from multitask.config import Config
from multitask.settings import Settings, problems, validate
from multitask.study import ENTRIES
from multitask.study.head_weights import HeadWeightsEntry
from multitask.study.parameters import (
    AnyEntry,
    CategoricalEntry,
    Entry,
    FloatEntry,
    IntEntry,
)
from multitask.testing.entries import ENTRY_CHECKS, base_values

MakeConfig = Callable[..., Config]

KINDS = ENTRIES
EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "float": ("augment.strength", {"low": 0.1, "high": 0.9}),
    "int": ("training.batch_size", {"low": 8, "high": 64}),
    "categorical": ("heads.age.loss.name", {"choices": ["focal", "cross_entropy"]}),
    "head_weights": ("heads", {}),
}
"""Of each kind: a path of the tiny config, and an entry whose range holds what the config has there."""


class Holder(Settings):
    entry: AnyEntry


def entry_of(data: Any) -> Entry:
    return validate(Holder, {"entry": data}).entry


def problem_of(data: Any) -> str:
    found = problems(Holder, {"entry": data})
    assert len(found) == 1
    assert "\n" not in found[0]
    return found[0]


# --- every kind -------------------------------------------------------------------------------------------------


def test_a_number_between_two_ends_is_what_an_entry_is_without_a_kind() -> None:
    assert entry_of({"low": 0, "high": 1}) == FloatEntry(low=0.0, high=1.0)
    assert entry_of("head_weights") == HeadWeightsEntry()


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    @pytest.fixture
    def entry(self, kind: str) -> Entry:
        return entry_of({"kind": kind, **EXAMPLES[kind][1]})

    @pytest.mark.parametrize("check", ENTRY_CHECKS, ids=lambda check: check.__name__)
    def test_keeps_the_contract(
        self, check: Callable[[Entry, str, Config], None], kind: str, entry: Entry, tiny: MakeConfig
    ) -> None:
        check(entry, EXAMPLES[kind][0], tiny())

    def test_it_is_a_row_of_the_table(self, kind: str, entry: Entry) -> None:
        assert type(entry) is KINDS[kind]
        assert entry.kind == kind
        assert entry_of(entry.model_dump(mode="json")) == entry

    @pytest.mark.parametrize("value", [-1e9, 1e9, "nothing", None, {}, []])
    def test_what_it_never_tries_is_not_in_its_range(self, entry: Entry, value: object) -> None:
        assert not entry.contains(value)

    def test_the_base_has_a_place_in_its_range(self, kind: str, entry: Entry, tiny: MakeConfig) -> None:
        assert entry.base_values(EXAMPLES[kind][0], base_values(tiny())) is not None

    def test_a_key_it_does_not_have_is_named(self, kind: str) -> None:
        assert problem_of({"kind": kind, **EXAMPLES[kind][1], "lowe": 1}).startswith("entry.lowe: unknown key (of ")

    @pytest.mark.parametrize("when", [{"a.b": []}, {"a.b": {"c": 1}}, {"a.b": math.nan}, "a.b"])
    def test_a_condition_without_a_value_is_refused(self, kind: str, when: object) -> None:
        data = {"kind": kind, **EXAMPLES[kind][1], "when": when}
        assert problems(Holder, {"entry": data})[0].startswith("entry.when")


def test_an_unknown_kind_is_named_with_the_nearest() -> None:
    assert problem_of({"kind": "flot", "low": 0, "high": 1}) == "entry.kind: unknown kind 'flot'; did you mean 'float'?"


# --- ranges -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"low": 1, "high": 1}, "entry: low must be less than high, found 1.0 and 1.0"),
        ({"low": 2, "high": 1}, "entry: low must be less than high, found 2.0 and 1.0"),
        ({"low": 0, "high": 1, "log": True}, "entry: low must be above 0 where log is true, found 0.0"),
        ({"low": -1, "high": 1, "log": True}, "entry: low must be above 0 where log is true, found -1.0"),
        ({"low": 1, "high": 9, "log": True, "step": 1}, "entry: log and step exclude each other"),
        (
            {"low": 0, "high": 1, "step": 0.3},
            "entry: high must be low plus a whole number of steps, found 0.0, 1.0 and 0.3",
        ),
        (
            {"low": 0, "high": 1, "step": 4},
            "entry: high must be low plus a whole number of steps, found 0.0, 1.0 and 4.0",
        ),
        ({"low": 0, "high": 1, "step": 0}, "entry.step: input should be greater than 0, found 0"),
        ({"low": 0}, "entry.high: Field required"),
        ({"low": 0, "high": math.inf}, "entry.high: input should be a finite number, found inf"),
        ({"low": "1e-3", "high": 1}, "entry.low: input should be a valid number, found '1e-3'"),
        ({"low": 0, "high": 1, "log": "no"}, "entry.log: input should be true or false, found 'no'"),
        ({"kind": "int", "low": 3, "high": 3}, "entry: low must be less than high, found 3 and 3"),
        ({"kind": "int", "low": 4, "high": 3}, "entry: low must be less than high, found 4 and 3"),
        ({"kind": "int", "low": 0.5, "high": 3}, "entry.low: input should be a valid integer, found 0.5"),
        ({"kind": "int", "low": 0, "high": 3, "log": True}, "entry: low must be above 0 where log is true, found 0"),
        ({"kind": "int", "low": 1, "high": 5, "log": True, "step": 2}, "entry: log and step exclude each other"),
        (
            {"kind": "int", "low": 0, "high": 5, "step": 2},
            "entry: high must be low plus a whole number of steps, found 0, 5 and 2",
        ),
        ({"kind": "int", "low": 0, "high": 5, "step": 0}, "entry.step: input should be greater than or equal to 1"),
        ({"kind": "head_weights", "low": 0}, "entry.low: input should be greater than 0, found 0"),
        ({"kind": "head_weights", "low": 5, "high": 0.2}, "entry: low must be less than high, found 5.0 and 0.2"),
        ({"kind": "categorical", "choices": []}, "entry.choices: list should have at least 1 item"),
        ({"kind": "categorical"}, "entry.choices: Field required"),
        (
            {"kind": "categorical", "choices": ["a", "b", "a"]},
            "entry: choices must all differ (1, 1.0 and true count as one), found ['a', 'b', 'a']",
        ),
        # A storage would give back the first of them for either.
        (
            {"kind": "categorical", "choices": [True, 1]},
            "entry: choices must all differ (1, 1.0 and true count as one), found [True, 1]",
        ),
        (
            {"kind": "categorical", "choices": [0, "x", 0.0]},
            "entry: choices must all differ (1, 1.0 and true count as one), found [0, 'x', 0.0]",
        ),
    ],
)
def test_a_range_that_holds_nothing_or_not_what_it_says_is_refused(data: dict[str, Any], line: str) -> None:
    assert problem_of(data).startswith(line)


@pytest.mark.parametrize(
    ("entry", "inside", "outside"),
    [
        (FloatEntry(low=0.0, high=1.0), [0, 0.0, 0.3, 1], [-0.1, 1.1, True, "0.3", None]),
        (FloatEntry(low=0.0, high=1.0, step=0.1), [0, 0.3, 0.7, 1], [0.35, 1.1]),
        (FloatEntry(low=0.1, high=10.0, log=True), [0.1, 1, 10], [0, 0.09, 11]),
        (IntEntry(low=1, high=4), [1, 2, 4, 2.0], [0, 5, 2.5, True, "2"]),
        (IntEntry(low=2, high=8, step=3), [2, 5, 8, 5.0], [3, 4, 9]),
        (CategoricalEntry(choices=(0, 0.5, "x", None)), [0, 0.0, 0.5, "x", None], [False, 1, "y", [0]]),
        (CategoricalEntry(choices=(True, "x")), [True, "x"], [1, 1.0, False]),
        (HeadWeightsEntry(low=0.5, high=2.0), [0.5, 1, 2.0], [0.4, 2.1, 0, True]),
    ],
    ids=lambda value: value.kind if isinstance(value, Entry) else "",
)
def test_a_range_holds_its_ends_its_steps_and_nothing_else(
    entry: Entry, inside: list[object], outside: list[object]
) -> None:
    assert [value for value in inside if not entry.contains(value)] == []
    assert [value for value in outside if entry.contains(value)] == []


def test_the_ends_are_the_two_of_a_range_and_every_choice() -> None:
    assert FloatEntry(low=0.5, high=2.0, step=0.5).ends() == (0.5, 2.0)
    assert IntEntry(low=1, high=9, step=2).ends() == (1, 9)
    assert CategoricalEntry(choices=("a", True, None)).ends() == ("a", True, None)


@pytest.mark.parametrize(
    ("data", "inside"),
    [
        ({"low": 0.0, "high": 0.2}, False),
        ({"low": 0.0, "high": 0.3}, True),
        ({"low": 0.0, "high": 1.0, "step": 0.25}, False),
        ({"low": 0.0, "high": 0.9, "step": 0.1}, True),
        ({"kind": "categorical", "choices": [0.1, 0.2]}, False),
        ({"kind": "categorical", "choices": [0.1, 0.3]}, True),
    ],
)
def test_a_base_outside_of_the_range_has_no_place_in_it(data: dict[str, Any], inside: bool, tiny: MakeConfig) -> None:
    assert entry_of(data).base_values("augment.strength", base_values(tiny())) == ((0.3,) if inside else None)


def test_a_setting_that_the_base_does_not_have_has_no_place_in_the_range(tiny: MakeConfig) -> None:
    base = base_values(tiny())
    assert entry_of({"low": 0, "high": 3}).base_values("heads.age.loss.gamma", base) is None
    assert entry_of({"kind": "categorical", "choices": ["focal"]}).base_values("heads.age.loss", base) is None


def test_whole_numbers_stand_for_settings_that_are_not_and_the_base_is_among_them(tiny: MakeConfig) -> None:
    base = base_values(tiny({"heads.age.weight": 2}))
    assert entry_of({"kind": "int", "low": 1, "high": 4}).base_values("heads.age.weight", base) == (2,)
    assert entry_of({"kind": "categorical", "choices": [1, 2]}).base_values("heads.age.weight", base) == (2,)
