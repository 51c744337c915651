"""Settings that are changed by dotted keys."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.errors import UserError
from multitask.settings import flatten, override, parse_override, problems, validate
from tests.settings.basket import Basket


class TestParseOverride:
    @pytest.mark.parametrize(
        ("text", "key", "value"),
        [
            ("lr=1e-3", "lr", 0.001),
            ("a.b=no", "a.b", "no"),
            ("a.b=[1, 2]", "a.b", [1, 2]),
            ("a={b: {c: x}}", "a", {"b": {"c": "x"}}),
            ("a=", "a", None),
            ("a=b=c", "a", "b=c"),
            (" a = 3", "a", 3),
        ],
    )
    def test_the_value_is_yaml(self, text: str, key: str, value: object) -> None:
        assert parse_override(text) == (key, value)

    @pytest.mark.parametrize("text", ["a", "=3", " =3", "a..b=1", ".a=1", "a.=1", ""])
    def test_no_key_or_no_equals_is_refused(self, text: str) -> None:
        with pytest.raises(UserError, match=r"^--set .*: must be key=value"):
            parse_override(text)

    def test_a_value_that_is_no_yaml_is_refused(self) -> None:
        with pytest.raises(UserError, match=r"^--set a\.b, line 1, column \d+: not YAML: "):
            parse_override("a.b=[1")


class TestOverride:
    DATA: dict[str, Any] = {"lr": 0.2, "fruit": {"seeds": 7}, "by_name": {"a": {"name": "pear", "length": 2}}}

    def test_sets_at_any_depth_and_leaves_the_rest_and_its_input(self) -> None:
        before = repr(self.DATA)
        result = override(Basket, self.DATA, {"fruit.inner.depth": 3, "maybe.depth": 2, "free.a.b": 1, "lr": 1})
        assert result == {
            "lr": 1,
            "fruit": {"name": "apple", "seeds": 7, "inner": {"depth": 3}},
            "by_name": self.DATA["by_name"],
            "maybe": {"depth": 2},
            "free": {"a": {"b": 1}},
        }
        assert repr(self.DATA) == before

    def test_another_variant_starts_its_section_afresh(self) -> None:
        assert override(Basket, self.DATA, {"by_name.a.name": "apple"})["by_name"] == {"a": {"name": "apple"}}

    @pytest.mark.parametrize("data", [{}, {"fruit": {"seeds": 7}}, {"fruit": "apple"}, {"fruit": {"name": "apple"}}])
    def test_the_same_variant_keeps_its_settings(self, data: dict[str, Any]) -> None:
        result = override(Basket, data, {"fruit.name": "apple"})
        assert validate(Basket, result) == validate(Basket, data)

    @pytest.mark.parametrize("data", [{}, {"fruit": "apple"}, {"fruit": None}])
    def test_a_section_that_is_absent_or_short_is_filled(self, data: dict[str, Any]) -> None:
        assert override(Basket, data, {"fruit.seeds": 1})["fruit"] == {"name": "apple", "seeds": 1}

    @given(
        st.permutations(
            [
                ("fruit.name", "pear"),
                ("fruit.length", 3),
                ("by_name.b", "apple"),
                ("by_name.b.seeds", 2),
                ("by_name.a.name", "apple"),
                ("by_name.a.inner.depth", 4),
                ("inner", {"depth": 2}),
                ("inner.depth", 9),
                ("lr", 3),
            ]
        )
    )
    @settings(deadline=None, max_examples=60)
    def test_their_order_does_not_matter(self, changes: list[tuple[str, Any]]) -> None:
        assert override(Basket, self.DATA, dict(changes)) == {
            "lr": 3,
            "inner": {"depth": 9},
            "fruit": {"name": "pear", "length": 3},
            "by_name": {
                "a": {"name": "apple", "inner": {"depth": 4}},
                "b": {"name": "apple", "seeds": 2},
            },
        }

    @pytest.mark.parametrize(
        ("key", "data"),
        [("lr.x", {"lr": 0.1}), ("row.x.y", {"row": {"x": 3}}), ("fruit.seeds.x", {"fruit": {"seeds": 3}})],
    )
    def test_a_key_through_a_value_is_refused(self, key: str, data: dict[str, Any]) -> None:
        with pytest.raises(UserError, match=rf"^{key}: leads through a value that is no section, found "):
            override(Basket, data, {key: 1})

    def test_a_name_over_a_section_that_is_none_replaces_it(self) -> None:
        assert override(Basket, {"fruit": [1]}, {"fruit.name": "pear"})["fruit"] == {"name": "pear"}

    def test_a_misspelt_key_is_found_by_the_check(self) -> None:
        assert problems(Basket, override(Basket, {}, {"inner.dept": 1}))[0].startswith("inner.dept: unknown key")


def test_flatten_joins_keys_by_dots_and_keeps_what_is_empty() -> None:
    assert flatten({"a": {"b": {"c": 1}, "d": [2]}, "e": {}, "f": None}) == {
        "a.b.c": 1,
        "a.d": [2],
        "e": {},
        "f": None,
    }


def test_a_key_of_too_many_parts() -> None:
    with pytest.raises(UserError, match=r"must have at most 100 parts joined by dots$"):
        override(Basket, {}, dict([parse_override("a." * 3000 + "b=1")]))
    assert override(Basket, {}, {"free." + "a." * 98 + "b": 1})
