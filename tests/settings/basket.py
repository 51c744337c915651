"""One of everything that a section may hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from multitask.settings import (
    Bool,
    ConfigPath,
    Count,
    Float,
    Fraction,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Settings,
    Table,
)


class Inner(Settings):
    depth: PositiveInt = 1


class Fruit(Settings):
    name: str


FRUITS: Table[Fruit] = Table("fruit", Fruit, default="apple")
AnyFruit = Annotated[Fruit, FRUITS]


class Apple(Fruit):
    name: Literal["apple"] = "apple"
    sweetness: Fraction = 0.5
    seeds: Count = 5
    inner: Inner = Inner()


class Pear(Fruit):
    name: Literal["pear"] = "pear"
    length: PositiveFloat


FRUITS.register(Apple, Pear)


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
    fruit: AnyFruit = Apple()
    single: Annotated[Fruit, FRUITS.part(lambda row: row is Apple)] = Apple()
    by_name: dict[str, AnyFruit] = {}
    sections: dict[str, Inner] = {}
    row: tuple[AnyFruit, ...] = ()
    pair: tuple[Inner, Inner] = (Inner(), Inner())
    free: dict[str, Any] = {}
