"""Open tables: rows that are added later count at once, everywhere; a wrong one is one line."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
from pydantic import ValidationError

from multitask.errors import UserError
from multitask.settings import PositiveInt, Settings, Table, override, problems, validate
from multitask.settings.tables import unwrap
from tests.settings.basket import FRUITS, AnyFruit, Apple, Basket, Fruit, Pear


class Plum(Fruit):
    name: Literal["plum"] = "plum"
    stones: PositiveInt = 1


@pytest.fixture
def plum() -> Iterator[None]:
    FRUITS["plum"] = Plum
    yield
    del FRUITS["plum"]


class TestRows:
    def test_a_table_is_a_mapping_of_names_to_classes(self) -> None:
        assert dict(FRUITS) == {"apple": Apple, "pear": Pear}
        assert len(FRUITS) == 2

    def test_a_part_has_the_rows_that_fit_and_a_default_of_its_own(self, plum: None) -> None:
        part = FRUITS.part(lambda row: row is not Apple, default="plum")
        assert dict(part) == {"pear": Pear, "plum": Plum}
        assert len(part) == 2
        assert part.fill({}) == {"name": "plum"}
        with pytest.raises(KeyError):
            part["apple"]

    @pytest.mark.parametrize("data", ["pear", {"name": "pear"}])
    def test_a_word_is_short_for_a_section_with_that_name(self, data: object) -> None:
        class Whole(Fruit):
            name: Literal["pear"] = "pear"

        table: Table[Fruit] = Table("fruit", Fruit, default="plum")
        table.register(Plum, Whole)

        class Bowl(Settings):
            fruit: Annotated[Fruit, table] = Plum()

        Bowl.model_rebuild(_types_namespace={"table": table, **globals()})
        assert validate(Bowl, {"fruit": data}).fruit == Whole()
        assert validate(Bowl, {"fruit": {}}).fruit == Plum()

    def test_without_a_name_the_default_is_meant(self) -> None:
        assert validate(Basket, {"fruit": {"seeds": 3}}).fruit == Apple(seeds=3)

    def test_an_annotation_names_its_table(self) -> None:
        assert unwrap(AnyFruit | None) == (Fruit, FRUITS)
        assert unwrap(Fruit) == (Fruit, None)


class TestAddedRow:
    """``Basket`` was made before the row was."""

    def test_counts_from_data_in_python_and_as_an_override(self, plum: None) -> None:
        expected = Plum(stones=2)
        assert validate(Basket, {"fruit": {"name": "plum", "stones": 2}}).fruit == expected
        assert Basket(fruit=expected).fruit is expected
        assert validate(Basket, override(Basket, {}, {"fruit.stones": 2, "fruit.name": "plum"})).fruit == expected
        assert validate(Basket, {"row": ["apple", "plum"], "by_name": {"a": "plum"}}).row == (Apple(), Plum())

    def test_is_written_with_its_own_keys_and_read_again(self, plum: None) -> None:
        basket = Basket(fruit=Plum(stones=2), by_name={"a": Plum(stones=3)})
        for data in (basket.model_dump(mode="json"), basket.model_dump()):
            assert data["fruit"] == {"name": "plum", "stones": 2}
            assert validate(Basket, data) == basket

    @pytest.mark.parametrize(
        ("data", "line"),
        [
            (
                {"fruit": {"name": "plum", "stones": 0}},
                "fruit.stones: input should be greater than or equal to 1, found 0",
            ),
            ({"fruit": {"name": "plum", "stone": 1}}, "fruit.stone: unknown key (of 'plum'); did you mean 'stones'?"),
            ({"row": ["apple", {"name": "plums"}]}, "row.1.name: unknown name 'plums'; did you mean 'plum'?"),
            ({"single": "plum"}, "single.name: unknown name 'plum'; it can be 'apple'"),
        ],
    )
    def test_has_the_errors_of_every_row(self, plum: None, data: dict[str, Any], line: str) -> None:
        assert problems(Basket, data)[0].startswith(line)

    def test_that_is_not_there_is_refused(self) -> None:
        assert problems(Basket, {"fruit": "plum"}) == ["fruit.name: unknown name 'plum'; it can be 'apple', 'pear'"]
        assert problems(Basket, {"fruit": Plum()})[0].startswith("fruit: unknown name 'plum'; it can be ")
        with pytest.raises(ValidationError, match="unknown name 'plum'"):
            Basket(fruit={"name": "plum"})

    @pytest.mark.parametrize("value", [3, None, [1], {"name": 3}])
    def test_a_value_that_is_no_section_is_refused(self, value: object) -> None:
        with pytest.raises(ValidationError, match="valid dictionary or object to extract fields from"):
            Basket(fruit=value)


class TestRefused:
    def test_another_class_of_a_name_that_is_taken(self) -> None:
        class Other(Fruit):
            name: Literal["pear"] = "pear"

        with pytest.raises(
            UserError,
            match=r"^fruit 'pear': is registered twice, as \S*basket\.Pear and as \S*Other; name one of them ",
        ):
            FRUITS["pear"] = Other
        assert FRUITS["pear"] is Pear

    def test_not_the_same_class_again(self) -> None:
        FRUITS["pear"] = Pear
        assert list(FRUITS) == ["apple", "pear"]

    @pytest.mark.parametrize("row", [3, int, Settings, Plum()])
    def test_what_is_no_class_of_the_table(self, row: Any) -> None:
        with pytest.raises(UserError, match=r"^fruit 'plum': must be a subclass of Fruit, found "):
            FRUITS["plum"] = row

    def test_a_class_that_says_another_name_or_none(self) -> None:
        class Nameless(Fruit):
            pass

        with pytest.raises(
            UserError,
            match=r"^fruit 'prune': Plum must say its name, as in name: Literal\[\"prune\"\] = \"prune\"; found 'plum'",
        ):
            FRUITS["prune"] = Plum
        with pytest.raises(UserError, match=r"^fruit 'Nameless': Nameless must say its name, .*; found null$"):
            FRUITS.register(Nameless)
        assert list(FRUITS) == ["apple", "pear"]

    def test_a_class_that_lacks_a_method(self) -> None:
        class Peeled(Fruit):
            name: str = "peeled"

            @abstractmethod
            def peel(self) -> None:
                """Left out."""

        with pytest.raises(UserError, match=r"^fruit 'peeled': Peeled lacks peel$"):
            FRUITS["peeled"] = Peeled

    def test_a_plain_name_will_do(self) -> None:
        class Fig(Fruit):
            name: str = "fig"

        FRUITS["fig"] = Fig
        try:
            assert validate(Basket, {"fruit": "fig"}).fruit == Fig()
        finally:
            del FRUITS["fig"]
