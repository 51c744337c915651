"""Rows that Arrow splits are those that the standard library's reader gives, with the same line numbers and errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multitask.data.sources import cells, plain_csv
from multitask.data.sources.csv_file import csv_cells
from multitask.errors import UserError

_CELLS = st.text(
    alphabet=["a", "\u00e9", "1", " ", '"', ";", "\t", "\u00a0", "\u3000", "\x1c", "'", "\u201c"], max_size=3
)
_LINES = st.lists(st.tuples(st.lists(_CELLS, min_size=1, max_size=3), st.sampled_from(["\n", "\r\n", "\n", "\r"])))


def by_reader(path: Path) -> tuple[list[tuple[int, list[str]]], str]:
    found: list[tuple[int, list[str]]] = []
    rows = csv_cells(path, ())
    try:
        next(rows)
        found.extend(rows)
    except UserError as error:
        return found, str(error)
    return found, ""


def by_parts(path: Path) -> tuple[list[tuple[int, list[str]]], str]:
    found: list[tuple[int, list[str]]] = []
    try:
        for part in cells.parts(path, None, ",", "utf-8", configurable=False):
            assert part.first == len(found)
            columns = [column.to_pylist() for column in part.columns.values()]
            found += zip(part.lines, map(list, zip(*columns, strict=True)), strict=True)
    except UserError as error:
        return found, str(error)
    return found, ""


@pytest.fixture(autouse=True)
def blocks_of_a_few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_csv, "_BLOCK", 8)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(_LINES, st.sampled_from(["", "\ufeff", "sep=,\n"]), st.booleans())
def test_rows_are_those_of_the_reader(
    tmp_path: Path, lines: list[tuple[list[str], str]], begin: str, is_damaged: bool
) -> None:
    text = begin + "x,y\n" + "".join(",".join(row) + end for row, end in lines)
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode() + (b"z,\xff\n" if is_damaged else b""))
    assert by_parts(path) == by_reader(path)


@pytest.mark.parametrize("text", ["x,y\na,b\nc,d", "x,y\r\na,b\r\nc,d\r\n", "\ufeffx,y\n\u00e9,b\n\u0e01,d\n"])
def test_what_is_plain_is_not_given_to_the_reader(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    expected = by_reader(path)
    monkeypatch.setattr(cells, "csv_rest", lambda *given: iter(()))
    assert by_parts(path) == expected
    plain = plain_csv.PlainParts(path, "utf-8", ",", 1, 2, (0, 1))
    assert sum(len(columns[0]) for _, columns in plain) == len(expected[0])
    assert plain.offset == path.stat().st_size


@pytest.mark.parametrize("end", ['"c,d"', "c,d,e", "c", ",", " ,\u00a0", "\u3000,", "c\r"])
def test_from_what_is_not_plain_on_it_is(tmp_path: Path, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"x,y\na,b\nlong,line\n{end}\ne,f\n", newline="")
    asked: list[tuple[object, ...]] = []
    rest = cells.csv_rest
    monkeypatch.setattr(cells, "csv_rest", lambda *given: [asked.append(given), rest(*given)][1])
    assert by_parts(path) == by_reader(path)
    assert [given[1:3] for given in asked] == [(18, 3)]


def test_a_cell_beyond_what_the_reader_takes_is_refused_as_it_does(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"x,y\na,b\n{'c' * 140_000},d\n")
    found, error = by_parts(path)
    assert (found, error) == by_reader(path)
    assert error == f"{path}: cannot be read as CSV: field larger than field limit (131072)"


def test_other_encodings_are_read_by_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("x,y\na,\u00e9\n".encode("utf-16"))
    assert by_parts(path) == by_reader(path) == ([(2, ["a", "\u00e9"])], "")
