from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from multitask.errors import UserError
from multitask.utils.records import (
    ONLY_IF_KNOWN,
    Count,
    Interval,
    Score,
    parse_json,
    parse_record,
    read_json,
    read_record,
    record_to_json,
    require,
    to_json_data,
)


@dataclass(frozen=True)
class Cells:
    num_classes: Count
    cells: tuple[tuple[Count, Count, Count], ...]


@dataclass(frozen=True)
class Part:
    score: Score | None
    interval: Interval | None
    matrix: tuple[tuple[Count, ...], ...] | Cells
    error: Score | None = field(default=None, metadata=ONLY_IF_KNOWN)

    def __post_init__(self) -> None:
        if isinstance(self.matrix, tuple) and any(len(row) != len(self.matrix) for row in self.matrix):
            raise ValueError("the matrix is not square")


@dataclass(frozen=True)
class Whole:
    parts: dict[str, Part]
    note: str | None = None
    version: int = 2


WHOLE = Whole({"a": Part(0.5, (0.25, 1.0), ((1, 0), (0, 2)))})
DATA: dict[str, Any] = {
    "parts": {"a": {"score": 0.5, "interval": [0.25, 1.0], "matrix": [[1, 0], [0, 2]]}},
    "note": None,
    "version": 2,
}
PATH = Path("whole.json")


def read(data: object) -> Whole:
    return parse_record(json.dumps(data), Whole, PATH)


def test_a_record_is_written_and_read_back(tmp_path: Path) -> None:
    assert to_json_data(WHOLE) == DATA
    assert list(to_json_data(WHOLE)) == list(DATA)  # the keys stand in the order of the fields
    path = tmp_path / "whole.json"
    path.write_text(record_to_json(WHOLE), encoding="utf-8")
    assert read_record(path, Whole) == WHOLE


def test_what_is_no_number_is_null() -> None:
    part = Part(float("nan"), None, Cells(2, ((0, 1, 1),)), float("inf"))
    assert json.loads(record_to_json(part)) == {
        "score": None,
        "interval": None,
        "matrix": {"num_classes": 2, "cells": [[0, 1, 1]]},
        "error": None,
    }


def test_keys_of_other_versions_are_let_through_or_have_a_default() -> None:
    assert read({"parts": DATA["parts"], "of_a_later_version": 1}) == WHOLE


def test_a_newer_version_is_named() -> None:
    with pytest.raises(UserError, match=r"^whole\.json: is of version 3; this is multitask \S+, which reads up to 2$"):
        read({"something": "else", "version": 3})


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (("score",), "1", "parts.a.score: input should be a valid number, found '1'"),
        (("score",), 7, "parts.a.score: input should be less than or equal to 1, found 7"),
        (("score",), float("nan"), "parts.a.score: input should be less than or equal to 1, found nan"),
        (("score",), ..., "parts.a.score: field required"),
        (("interval",), [0], "parts.a.interval.1: field required"),
        (("matrix",), [["x"]], "parts.a.matrix.0.0: input should be a valid integer, found 'x'"),
        (("matrix",), {"num_classes": 2, "cells": [[1, 1]]}, "parts.a.matrix.cells.0.2: field required"),
        (("matrix",), [[1, 2]], "parts.a: the matrix is not square"),
    ],
)
def test_a_damaged_record_names_file_and_key(path: tuple[str, ...], value: object, line: str) -> None:
    data = json.loads(json.dumps(DATA))
    part = data["parts"]["a"]
    if value is ...:
        del part[path[0]]
    else:
        part[path[0]] = value
    with pytest.raises(UserError) as caught:
        read(data)
    assert str(caught.value) == f"whole.json: is damaged: {line}"


def test_what_is_needed_of_what_may_be_missing_is_named() -> None:
    require(WHOLE, PATH, "parts")
    with pytest.raises(UserError, match=r"^whole\.json: is damaged: note: field required$"):
        require(WHOLE, PATH, "parts", "note")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'{"a": 1'])
def test_damaged_json_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"^{path}: ") as caught:
        read_json(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="cannot be read"):
        read_json(tmp_path / "absent.json")
    assert parse_json('{"a": 1}', path) == {"a": 1}
