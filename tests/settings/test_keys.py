"""A schema's keys: every one, once, with what may stand there and what it is for."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest

from multitask.config import Config
from multitask.settings import Count, Settings, Table
from multitask.settings.keys import Key, Section, attribute_text, docstring, sections_of


class Shape(Settings):
    """What every shape has."""

    name: str
    colour: str = "red"
    """Of its edge."""


SHAPES: Table[Shape] = Table("shape", Shape, default="circle")
AnyShape = Annotated[Shape, SHAPES]
Simple = Annotated[Shape, SHAPES.part(lambda row: row is not Pair, default="square")]


class Circle(Shape):
    """A circle (``RoundShape``), round.

    >>> Circle().radius
    1
    """

    name: Literal["circle"] = "circle"
    radius: Count = 1


class Square(Shape):
    """A square.

    Attributes:
        width: for programmers.
    """

    name: Literal["square"] = "square"
    width: Count


class Pair(Shape):
    """Two of them."""

    name: Literal["pair"] = "pair"
    first: Simple
    second: AnyShape = Circle(radius=2)


SHAPES.register(Circle, Square, Pair)


class Room(Settings):
    """A room."""

    shape: AnyShape = Circle()
    """Of its floor."""
    doors: dict[str, AnyShape] = {}


class House(Settings):
    """A house."""

    number: Count
    rooms: dict[str, Room] = {}
    garden: Room | None = None


def by_path() -> dict[str, Section]:
    return {section.path: section for section in sections_of(House)}


def test_every_section_is_described_once_before_what_is_within_it() -> None:
    assert list(by_path()) == ["", "rooms.<room>", "rooms.<room>.shape"]


def test_keys_lead_to_the_section_that_describes_them() -> None:
    assert by_path()[""].keys == [
        Key("number", "whole number from 0 to 1e9", None, ""),
        Key("rooms", "names, each with a section", "{}", "", "rooms.<room>"),
        Key("garden", "section", "null", "", "rooms.<room>"),
    ]
    assert by_path()["rooms.<room>"].keys == [
        Key("rooms.<room>.shape", "variant", "circle", "Of its floor.", "rooms.<room>.shape"),
        Key("rooms.<room>.doors", "names, each with a variant", "{}", "", "rooms.<room>.shape"),
    ]


def test_a_table_has_its_rows_and_says_of_which_a_key_is() -> None:
    section = by_path()["rooms.<room>.shape"]
    assert (section.tag, section.default) == ("name", "circle")
    assert section.rows == {"circle": "A circle, round.", "square": "A square.", "pair": "Two of them."}
    at = "rooms.<room>.shape"
    part = "variant, not `pair`; `square` where it has no `name`"
    assert section.keys == [
        Key(f"{at}.colour", "text", "red", "Of its edge."),  # of all of them
        Key(f"{at}.radius", "whole number from 0 to 1e9", "1", "", rows=("circle",)),
        Key(f"{at}.width", "whole number from 0 to 1e9", None, "", rows=("square",)),
        Key(f"{at}.first", part, None, "", at, rows=("pair",)),
        Key(f"{at}.second", "variant", "{radius: 2}", "", at, rows=("pair",)),
    ]


def test_a_row_that_is_added_is_described() -> None:
    class Line(Shape):
        name: Literal["line"] = "line"
        length: Count = 5

    SHAPES["line"] = Line
    try:
        assert "line" in by_path()["rooms.<room>.shape"].rows
    finally:
        del SHAPES["line"]


def test_docstrings_of_attributes_are_found_in_bases_too() -> None:
    assert attribute_text(Circle, "colour") == "Of its edge."
    assert attribute_text(Circle, "radius") == ""
    made = type("Made", (), {"__module__": "nowhere"})
    assert attribute_text(made, "key") == ""
    assert docstring(made) == ""


@pytest.fixture(scope="module")
def config_keys() -> dict[str, Key]:
    return {key.path: key for section in sections_of(Config) for key in section.keys}


def test_the_config_is_described_whole(config_keys: dict[str, Key]) -> None:
    resolved = {
        "seed", "data.val_fraction", "data.source.pattern", "model.sharing.at", "heads.<head>.loss.gamma",
        "heads.<head>.loss.class_weights.beta", "joint.term.rank", "balancer.c", "training.ema.decay",
    }  # fmt: skip
    assert resolved <= set(config_keys)
    sections = {section.path for section in sections_of(Config)}
    assert {key.section for key in config_keys.values()} - {""} == sections - {""}
    assert all(key.path.rpartition(".")[0] in sections for key in config_keys.values())


def test_losses_are_described_once(config_keys: dict[str, Key]) -> None:
    assert config_keys["joint.loss"].section == config_keys["heads.<head>.loss"].section == "heads.<head>.loss"
    assert config_keys["heads.<head>.loss.first"].type == "variant, not `sum`"
