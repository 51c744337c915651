"""Types and defaults of keys, in words."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from multitask.settings import (
    Bool,
    ConfigPath,
    Count,
    Float,
    Fraction,
    Int,
    NonNegativeFloat,
    PositiveFloat,
    Seed,
    Settings,
    Width,
)
from multitask.settings.key_types import type_text, yaml_text


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (Bool, "true or false"),
        (Int, "whole number"),
        (Float, "number"),
        (str, "text"),
        (ConfigPath, "path"),
        (ConfigPath | None, "path or `null`"),
        (Any, "any value"),
        (Count, "whole number from 0 to 1e9"),
        (Seed, "whole number from 0"),
        (Width, "whole number from 1 to 65,536"),
        (Fraction, "number from 0 to 1"),
        (PositiveFloat, "number above 0 to 1e12"),
        (NonNegativeFloat, "number from 0 to 1e12"),
        (Annotated[Float, Field(lt=0)], "number below 0"),
        (Annotated[Float, Field(le=2.5)], "number to 2.5"),
        (Annotated[Float, Field(ge=0, lt=1)], "number from 0 to below 1"),
        (Annotated[Fraction, Field(gt=0)], "number above 0 to 1"),  # the narrower of both bounds
        (Annotated[Count, Field(ge=8, le=32)], "whole number from 8 to 32"),
        (Literal["a", "b"], "`a` or `b`"),
        (Literal["a", "b", "\t"], '`a`, `b` or `"\\t"`'),
        (Count | Literal["auto"], "whole number from 0 to 1e9 or `auto`"),
        (tuple[str, ...], "list of: text"),
        (Annotated[tuple[Fraction, ...], Field(min_length=2)], "list (at least 2) of: number from 0 to 1"),
        (tuple[Float, Float], "list of 2: number"),
        (tuple[Float, str] | None, "list of 2: number, text or `null`"),
        (dict[str, Count], "names, each with whole number from 0 to 1e9"),
    ],
)
def test_a_type_in_words(annotation: Any, text: str) -> None:
    class Section(Settings):
        key: annotation  # as pydantic hands it on

    info = Section.model_fields["key"]
    assert type_text(annotation) == text
    assert type_text(Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation) == text


class Inner(Settings):
    size: Count = 3
    name: str = "inner"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (0.1, "0.1"),
        (1e-6, "1e-06"),
        (7, "7"),
        ("auto", "auto"),
        ("", '""'),
        ((1, "a"), "[1, a]"),
        ({"a": (1.0,)}, "{a: [1.0]}"),
        (Inner(), "{}"),
        (Inner(size=4), "{size: 4}"),
    ],
)
def test_a_default_as_yaml(value: object, text: str) -> None:
    assert yaml_text(value) == text
