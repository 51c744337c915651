"""Settings: what is wrong is one line that names key, rule and find; overrides; paths."""

from __future__ import annotations

import copy
import math
import pickle
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from multitask.errors import UserError
from multitask.settings.schema import (
    MAX_LISTED,
    Bool,
    ConfigPath,
    Count,
    Float,
    Fraction,
    Located,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Settings,
    flatten,
    located,
    override,
    parse_override,
    problems,
    validate,
    variant_classes,
    variants,
)


class Inner(Settings):
    depth: PositiveInt = 1


class Apple(Settings):
    name: Literal["apple"] = "apple"
    sweetness: Fraction = 0.5
    seeds: Count = 5
    inner: Inner = Inner()


class Pear(Settings):
    name: Literal["pear"] = "pear"
    length: PositiveFloat


Fruit = Annotated[Apple | Pear, *variants("apple")]
Single = Annotated[Apple, *variants("apple")]


class Basket(Settings):
    """One of everything that a section may hold."""

    lr: Float = 0.1
    count: PositiveInt = 1
    on: Bool = False
    word: str = "x"
    weight: NonNegativeFloat = 1.0
    path: ConfigPath = "/"
    level: Literal["low", "high"] | Count = "low"
    maybe: Inner | None = None
    inner: Inner = Inner()
    fruit: Fruit = Apple()
    single: Single = Apple()
    by_name: dict[str, Fruit] = {}
    sections: dict[str, Inner] = {}
    row: tuple[Fruit, ...] = ()
    pair: tuple[Inner, Inner] = (Inner(), Inner())
    free: dict[str, Any] = {}


class TestProblems:
    @pytest.mark.parametrize(
        ("data", "line"),
        [
            ({"cuont": 1}, "cuont: unknown key; did you mean 'count'?"),
            ({"inner": {"dept": 1}}, "inner.dept: unknown key; did you mean 'depth'?"),
            ({"maybe": {"q": 1}}, "maybe.q: unknown key; it can be 'depth'"),
            ({1: 2}, "1: unknown key"),
            (
                {"fruit": {"length": 1}},
                "fruit.length: unknown key (of 'apple'); it can be 'name', 'sweetness', 'seeds', 'inner'",
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
            ({"fruit": {"name": None}}, "fruit.name: unknown name None; it can be 'apple', 'pear'"),
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
            ({"lr": True}, "lr: input should be a valid number, found True"),
            ({"lr": "1e-3"}, "lr: input should be a valid number, found '1e-3'"),
            ({"lr": math.nan}, "lr: input should be a finite number, found nan"),
            ({"lr": math.inf}, "lr: input should be a finite number, found inf"),
            ({"lr": None}, "lr: input should be a valid number, found None"),
            ({"weight": -1}, "weight: input should be greater than or equal to 0, found -1"),
            ({"count": True}, "count: input should be a valid integer, found True"),
            ({"count": "3"}, "count: input should be a valid integer, found '3'"),
            ({"count": 3.5}, "count: input should be a valid integer, found 3.5"),
            ({"count": 3.0}, "count: input should be a valid integer, found 3.0"),
            ({"count": 0}, "count: input should be greater than or equal to 1, found 0"),
            ({"on": 1}, "on: input should be a valid boolean, found 1"),
            ({"on": "yes"}, "on: input should be a valid boolean, found 'yes'"),
            ({"word": 3}, "word: input should be a valid string, found 3"),
            ({"path": 3}, "path: input should be a valid string, found 3"),
            ({"path": ""}, "path: string should have at least 1 character, found ''"),
            ({"inner": {"depth": 0}}, "inner.depth: input should be greater than or equal to 1, found 0"),
            ({"level": "mid"}, "level: input should be 'low' or 'high', or a valid integer, found 'mid'"),
            ({"fruit": {"name": "pear"}}, "fruit.length: Field required"),
            ({"fruit": "pear"}, "fruit.length: Field required"),
            ({"by_name": {"pear": "pear"}}, "by_name.pear.length: Field required"),
            ({"fruit": {"sweetness": 2}}, "fruit.sweetness: input should be less than or equal to 1, found 2"),
            ({"row": ["apple", {"name": "pear", "length": "x"}]}, "row.1.length: input should be a valid number"),
            ({"pair": [{"depth": 1}, {"depth": "x"}]}, "pair.1.depth: input should be a valid integer, found 'x'"),
            ({"by_name": {"a": {"inner": {"depth": []}}}}, "by_name.a.inner.depth: input should be a valid integer"),
            ({"by_name": {3: "apple"}}, "by_name.3: input should be a valid string, found 3"),
            ({"sections": {3: {}}}, "sections.3: input should be a valid string, found 3"),
            ({"inner": 3}, "inner: input should be a valid dictionary"),
            ({"row": "apple"}, "row: input should be a valid tuple, found 'apple'"),
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
        with pytest.raises(UserError, match=r"^lr: .* \(and 2 more; `multitask config` lists them\)$"):
            validate(Basket, data)

    def test_defaults_are_checked_and_settings_are_immutable(self) -> None:
        class Wrong(Settings):
            share: Fraction = 2.0

        assert problems(Wrong, {}) == ["share: input should be less than or equal to 1, found 2.0"]
        with pytest.raises(ValueError):
            validate(Basket, {}).lr = 3.0  # type: ignore[misc]


class TestVariants:
    def test_the_table_is_the_union(self) -> None:
        assert variant_classes(Fruit) == {"apple": Apple, "pear": Pear}
        assert variant_classes(Single) == {"apple": Apple}

    @pytest.mark.parametrize("data", ["pear", {"name": "pear"}])
    def test_a_word_is_short_for_a_section_with_that_name(self, data: object) -> None:
        class Plum(Settings):
            name: Literal["plum"] = "plum"

        class PearOfAnySize(Settings):
            name: Literal["pear"] = "pear"

        class Bowl(Settings):
            fruit: Annotated[PearOfAnySize | Plum, *variants("plum")] = Plum()

        Bowl.model_rebuild(_types_namespace={"PearOfAnySize": PearOfAnySize, "Plum": Plum, **globals()})
        assert validate(Bowl, {"fruit": data}).fruit.name == "pear"
        assert validate(Bowl, {"fruit": {}}).fruit.name == "plum"

    def test_without_a_name_the_default_is_meant(self) -> None:
        assert validate(Basket, {"fruit": {"seeds": 3}}).fruit == Apple(seeds=3)


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


class TestPaths:
    def test_a_files_path_is_relative_to_its_folder_and_one_of_the_command_line_to_where_one_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        folder = tmp_path / "configs"
        assert validate(Basket, {"path": "../x"}, folder).path == str(tmp_path / "x")
        assert validate(Basket, {"path": Located("x", Path.cwd())}, folder).path == str(tmp_path / "here" / "x")
        assert validate(Basket, {"path": "x"}).path == str(tmp_path / "here" / "x")
        assert validate(Basket, {"path": "/abs/y"}, folder).path == "/abs/y"

    def test_data_from_another_file_keep_its_folder_at_any_depth(self, tmp_path: Path) -> None:
        data = located({"path": "x", "free": {"a": [1, "y", {"b": "z"}]}, "lr": 1}, tmp_path / "here")
        assert data == {"path": "x", "free": {"a": [1, "y", {"b": "z"}]}, "lr": 1}
        words = (data["path"], data["free"]["a"][1], data["free"]["a"][2]["b"])
        assert all(isinstance(word, Located) and word.folder == tmp_path / "here" for word in words)
        merged = override(Basket, {"path": "y"}, {"path": data["path"]})
        assert validate(Basket, merged, tmp_path / "elsewhere").path == str(tmp_path / "here" / "x")
        # What was found elsewhere before stays there.
        assert located(data, tmp_path)["path"].folder == tmp_path / "here"

    def test_a_copy_of_a_located_string_is_one(self, tmp_path: Path) -> None:
        word = Located("x", tmp_path)
        for found in (copy.copy(word), copy.deepcopy({"a": [word]})["a"][0], pickle.loads(pickle.dumps(word))):
            assert type(found) is Located
            assert found == "x"
            assert found.folder == tmp_path

    def test_home_is_expanded_and_nobodys_home_is_no_crash(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        assert validate(Basket, {"path": "~/x"}).path == str(tmp_path / "x")
        assert validate(Basket, {"path": "~nobody-of-this-name/x"}, tmp_path).path.endswith("~nobody-of-this-name/x")


def test_flatten_joins_keys_by_dots_and_keeps_what_is_empty() -> None:
    assert flatten({"a": {"b": {"c": 1}, "d": [2]}, "e": {}, "f": None}) == {
        "a.b.c": 1,
        "a.d": [2],
        "e": {},
        "f": None,
    }


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
        assert str(caught.value) == f"{found[0]} (and 19,999 more; `multitask config` lists them)"
        assert time.process_time() - began < 3

    def test_wrong_values(self) -> None:
        class Many(Settings):
            numbers: dict[str, Float | Bool] = {}
            pairs: tuple[Annotated[tuple[Float, ...], Field(min_length=2)], ...] = ()

        began = time.process_time()
        found = problems(Many, {"numbers": {str(index): "x" * 10_000 for index in range(5000)}})
        assert found[MAX_LISTED:] == ["and 4,990 more"]
        assert found[0].startswith("numbers.0: input should be a valid number, or a valid boolean, found 'xxxx")
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

    def test_a_key_of_too_many_parts(self) -> None:
        with pytest.raises(UserError, match=r"must have at most 100 parts joined by dots$"):
            override(Basket, {}, dict([parse_override("a." * 3000 + "b=1")]))
        assert override(Basket, {}, {"free." + "a." * 98 + "b": 1})
