"""Settings from plain data: what is wrong is one line that names key, rule and find."""

from __future__ import annotations

import math
import time
from typing import Annotated, Any

import pytest
from pydantic import Field

from multitask.errors import UserError
from multitask.settings import MAX_LISTED, Bool, Float, Fraction, Settings, override, problems, validate
from tests.settings.basket import Basket


class TestProblems:
    @pytest.mark.parametrize(
        ("data", "line"),
        [
            ({"cuont": 1}, "cuont: unknown key; did you mean 'count'?"),
            ({"inner": {"dept": 1}}, "inner.dept: unknown key; did you mean 'depth'?"),
            ({"maybe": {"q": 1}}, "maybe.q: unknown key; it can be 'depth'"),
            ({1: 2}, "1: unknown key"),
            ({"depth": 1}, "depth: unknown key; did you mean 'maybe.depth' or 'inner.depth'?"),
            ({"inner": {"fruit": 1}}, "inner.fruit: unknown key; did you mean 'fruit'?"),
            (
                {"fruit": {"length": 1}},
                "fruit.length: unknown key (of 'apple'); 'pear' has it",
            ),
            ({"fruit": {"name": "pear", "lenght": 1}}, "fruit.lenght: unknown key (of 'pear'); did you mean 'length'?"),
            ({"fruit": {"inner": {"dept": 1}}}, "fruit.inner.dept: unknown key; did you mean 'depth'?"),
            ({"by_name": {"a": {"sweet": 1}}}, "by_name.a.sweet: unknown key (of 'apple'); "),
            ({"row": ["pear", {"seed": 1}]}, "row.1.seed: unknown key (of 'apple'); did you mean 'seeds'?"),
            ({"pair": [{}, {"dept": 1}]}, "pair.1.dept: unknown key; did you mean 'depth'?"),
            ({"single": {"seed": 1}}, "single.seed: unknown key (of 'apple'); did you mean 'seeds'?"),
        ],
    )
    def test_an_unknown_key_is_named_with_the_nearest(self, data: dict[str, Any], line: str) -> None:
        found = problems(Basket, data)
        assert found[0].startswith(line)

    @pytest.mark.parametrize(
        ("data", "line"),
        [
            ({"fruit": "aple"}, "fruit.name: unknown name 'aple'; did you mean 'apple'?"),
            ({"fruit": {"name": "aple"}}, "fruit.name: unknown name 'aple'; did you mean 'apple'?"),
            ({"fruit": {"name": None}}, "fruit.name: unknown name null; it can be 'apple', 'pear'"),
            ({"fruit": {"name": ["apple"]}}, "fruit.name: unknown name ['apple']; did you mean 'apple'?"),
            ({"by_name": {"a": {"name": "zzz"}}}, "by_name.a.name: unknown name 'zzz'; it can be 'apple', 'pear'"),
            ({"row": [{"name": "paer"}]}, "row.0.name: unknown name 'paer'; did you mean 'pear'?"),
        ],
    )
    def test_an_unknown_variant_is_named_with_the_nearest(self, data: dict[str, Any], line: str) -> None:
        assert problems(Basket, data) == [line]

    @pytest.mark.parametrize(
        ("data", "line"),
        [
            ({"lr": True}, "lr: input should be a valid number, found true"),
            ({"lr": "1e-3"}, "lr: input should be a valid number, found '1e-3'"),
            ({"lr": math.nan}, "lr: input should be a finite number, found nan"),
            ({"lr": math.inf}, "lr: input should be a finite number, found inf"),
            ({"lr": None}, "lr: input should be a valid number, found null"),
            ({"weight": -1}, "weight: input should be greater than or equal to 0, found -1"),
            ({"count": True}, "count: input should be a valid integer, found true"),
            ({"count": "3"}, "count: input should be a valid integer, found '3'"),
            ({"count": 3.5}, "count: input should be a valid integer, found 3.5"),
            ({"count": 3.0}, "count: input should be a valid integer, found 3.0"),
            ({"count": 0}, "count: input should be greater than or equal to 1, found 0"),
            ({"on": 1}, "on: input should be true or false, found 1"),
            ({"on": "yes"}, "on: input should be true or false, found 'yes'"),
            ({"word": 3}, "word: input should be text, found 3"),
            ({"path": 3}, "path: input should be text, found 3"),
            ({"path": ""}, "path: text should have at least 1 character, found ''"),
            ({"inner": {"depth": 0}}, "inner.depth: input should be greater than or equal to 1, found 0"),
            ({"level": "mid"}, "level: input should be 'low' or 'high', or a valid integer, found 'mid'"),
            ({"fruit": {"name": "pear"}}, "fruit.length: Field required"),
            ({"fruit": "pear"}, "fruit.length: Field required"),
            ({"by_name": {"pear": "pear"}}, "by_name.pear.length: Field required"),
            ({"fruit": {"sweetness": 2}}, "fruit.sweetness: input should be less than or equal to 1, found 2"),
            ({"row": ["apple", {"name": "pear", "length": "x"}]}, "row.1.length: input should be a valid number"),
            ({"pair": [{"depth": 1}, {"depth": "x"}]}, "pair.1.depth: input should be a valid integer, found 'x'"),
            ({"by_name": {"a": {"inner": {"depth": []}}}}, "by_name.a.inner.depth: input should be a valid integer"),
            ({"by_name": {3: "apple"}}, "by_name.3: input should be text, found 3"),
            ({"sections": {3: {}}}, "sections.3: input should be text, found 3"),
            ({"inner": 3}, "inner: input should be a section of keys"),
            ({"row": "apple"}, "row: input should be a list, found 'apple'"),
        ],
    )
    def test_a_wrong_value_is_one_line_with_key_rule_and_find(self, data: dict[str, Any], line: str) -> None:
        found = problems(Basket, data)
        assert len(found) == 1
        assert found[0].startswith(line)
        assert "\n" not in found[0]

    def test_a_whole_number_may_stand_for_a_float(self) -> None:
        assert validate(Basket, {"lr": 1}).lr == 1.0

    def test_every_problem_is_told_and_the_error_counts_them(self) -> None:
        data = {"lr": "x", "count": 0, "inner": {"depth": -1}}
        assert [line.partition(":")[0] for line in problems(Basket, data)] == ["lr", "count", "inner.depth"]
        with pytest.raises(UserError, match=r"^lr: .* \(and 2 more problems; `multitask config` lists them\)$"):
            validate(Basket, data, listed_by="multitask config")
        del data["inner"]
        with pytest.raises(UserError, match=r"^lr: .* \(and 1 more problem\)$"):
            validate(Basket, data)  # no command lists those of a study

    def test_defaults_are_checked_and_settings_are_immutable(self) -> None:
        class Wrong(Settings):
            share: Fraction = 2.0

        assert problems(Wrong, {}) == ["share: input should be less than or equal to 1, found 2.0"]
        with pytest.raises(ValueError):
            validate(Basket, {}).lr = 3.0  # type: ignore[misc]


class TestMany:
    """Of many problems ten are listed and the others counted, and no value is quoted whole."""

    def test_unknown_keys(self) -> None:
        began = time.process_time()
        data = {f"count{index}": 1 for index in range(20_000)}
        found = problems(Basket, data)
        assert found[0] == "count0: unknown key; did you mean 'count'?"
        assert found[MAX_LISTED:] == ["and 19,990 more"]
        with pytest.raises(UserError) as caught:
            validate(Basket, data)
        assert str(caught.value) == f"{found[0]} (and 19,999 more problems)"
        assert time.process_time() - began < 3

    def test_wrong_values(self) -> None:
        class Many(Settings):
            numbers: dict[str, Float | Bool] = {}
            pairs: tuple[Annotated[tuple[Float, ...], Field(min_length=2)], ...] = ()

        began = time.process_time()
        found = problems(Many, {"numbers": {str(index): "x" * 10_000 for index in range(5000)}})
        assert found[MAX_LISTED:] == ["and 4,990 more"]
        assert found[0].startswith("numbers.0: input should be a valid number, or true or false, found 'xxxx")
        assert max(map(len, found)) < 400
        found = problems(Many, {"pairs": [["x"]] * 5000})
        assert found[MAX_LISTED:] == ["and 4,990 more"]
        assert time.process_time() - began < 5

    def test_long_words(self) -> None:
        long = "x" * 1_000_000
        for data in ({long: 1}, {"inner": {long: 1}}, {"word": [long]}, {"free": 1, "count": long}):
            found = problems(Basket, data)
            assert found
            assert all(len(line) < 2000 for line in found)
        with pytest.raises(UserError) as caught:
            override(Basket, {"count": long}, {"count.x": 1})
        assert len(str(caught.value)) < 500
