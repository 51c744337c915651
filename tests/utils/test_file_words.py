"""What a user reads of a wrong value has no word of Python's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from multitask.errors import kind_of, quoted
from multitask.utils.file_words import in_file_words

KINDS = (str, bool, list[int], tuple[int, int], dict[str, int], Annotated[str, Field(min_length=2)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [None, True, 3.5, "", [], {}, {"a": None}])
def test_no_word_is_one_of_pythons(kind: Any, value: object) -> None:
    try:
        TypeAdapter(kind).validate_python(value, strict=True)
    except ValidationError as error:
        for item in error.errors():
            said = in_file_words(item["msg"])
            assert not {"string", "boolean", "tuple", "dictionary", "dict", "str"} & set(said.split()), said


def test_values_and_kinds_are_named_as_in_a_file() -> None:
    assert [quoted(value) for value in (None, True, False, 1, "x")] == ["null", "true", "false", "1", "'x'"]
    named = {
        None: "nothing",
        True: "true or false",
        1.5: "a number",
        "x": "text",
        (1,): "a list",
        Path(): "a PosixPath",
    }
    assert [kind_of(value) for value in named] == list(named.values())
    assert kind_of({}) == "keys and values"
