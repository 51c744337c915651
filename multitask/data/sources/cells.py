"""The rows and cells of a table, as a CSV or a Parquet file has them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from multitask.data.sources.csv_file import check_columns, csv_cells, csv_encoding, csv_errors, csv_rest, read_csv
from multitask.data.sources.plain_csv import PlainParts
from multitask.errors import UserError
from multitask.utils.files import check_regular
from multitask.utils.spelling import canonical, number_hint, parse_number

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_AT_ONCE = 1 << 15
_BUFFER = 1 << 20
"""Bytes of a Parquet file's column that are read at a time: else a column of a row group is, which may be the file."""


def box(row: Mapping[str, Any], columns: Iterable[str]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom; all NaN where all their cells are empty.

    Raises:
        UserError: they are not numbers, or not a box.
    """
    left, top, right, bottom = (number(row, column) for column in columns)
    if all(math.isnan(edge) for edge in (left, top, right, bottom)):
        return left, top, right, bottom
    if not (left < right and top < bottom):
        names = ", ".join(columns)
        raise UserError(
            f"{names}: must be left < right and top < bottom, or all empty, found "
            f"{', '.join(format(edge, 'g') for edge in (left, top, right, bottom))}"
        )
    return left, top, right, bottom


def eyes(row: Mapping[str, Any], columns: Iterable[str]) -> tuple[float, float, float, float]:
    """X and y of both eyes; all NaN where all their cells are empty.

    Raises:
        UserError: they are not numbers, some are missing, or both eyes are at one place.
    """
    x, y, other_x, other_y = values = tuple(number(row, column) for column in columns)
    missing = sum(map(math.isnan, values))
    if 0 < missing < len(values) or (not missing and (x, y) == (other_x, other_y)):
        raise UserError(
            f"{', '.join(columns)}: must be two places, or all empty, found "
            f"{', '.join('nothing' if math.isnan(value) else format(value, 'g') for value in values)}"
        )
    return x, y, other_x, other_y


def number(row: Mapping[str, Any], column: str) -> float:
    """The number in a cell; NaN where it is empty.

    Raises:
        UserError: it holds something else.
    """
    word = canonical(text(row[column]))
    if not word:
        return math.nan
    value = parse_number(word)
    if math.isnan(value):
        raise UserError(f"{column}: must be a number, found {word!r}{number_hint(word)}")
    return value


def text(value: object) -> str:
    """A cell as text: a number of a Parquet file as a CSV file would have it."""
    if value is None:
        return ""
    if isinstance(value, bytes):  # of programs that do not say of texts that they are such
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float):
        return "" if math.isnan(value) else str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def unit(path: Path) -> str:
    """``line`` for a CSV file, whose rows an editor numbers so; else ``row``."""
    return "row" if _is_parquet(path) else "line"


@dataclass(frozen=True)
class Rows:
    """Some consecutive rows of a table.

    Attributes:
        first: how many rows stand before them.
        lines: the number of each: of its line in a CSV file, counted from 1 in a Parquet file.
        columns: their cells, by column in canonical spelling.
    """

    first: int
    lines: Sequence[int]
    columns: Mapping[str, pa.Array]


def parts(
    path: Path, columns: Sequence[str] | None, delimiter: str, encoding: str, *, configurable: bool = True
) -> Iterator[Rows]:
    """The rows of a table, some thousands at a time.

    Args:
        path: the table.
        columns: those that it must have, in canonical spelling; only they are read. None: all that can be texts.
        delimiter: what stands between the cells of a CSV file.
        encoding: of a CSV file.
        configurable: whether these two are settings, for the errors to name.

    Raises:
        UserError: the file is missing, is none of the two, or lacks a column; or a row of it is malformed, once those
            before it were yielded.
    """
    if _is_parquet(path):
        yield from _parquet_parts(path, columns)
    else:
        yield from _csv_parts(path, columns, delimiter, encoding, configurable)


def _csv_parts(
    path: Path, columns: Sequence[str] | None, delimiter: str, encoding: str, configurable: bool
) -> Iterator[Rows]:
    found = csv_cells(path, columns or (), delimiter=delimiter, encoding=encoding, configurable=configurable)
    line, names = next(found)
    columns = tuple(dict.fromkeys(names if columns is None else columns))
    last = {name: place for place, name in enumerate(names)}
    places = [last[column] for column in columns]
    first = 0
    with csv_errors(path, encoding, configurable):
        encoding = csv_encoding(path, encoding)
        plain = PlainParts(path, encoding, delimiter, line, len(names), places)
        for line, texts in plain:
            yield Rows(first, range(line, line + len(texts[0])), dict(zip(columns, texts, strict=True)))
            first += len(texts[0])
    if first:
        found = csv_rest(path, plain.offset, plain.num_lines, len(names), delimiter, encoding, configurable)
    yield from _csv_rows(columns, places, found, first)


def _csv_rows(
    columns: Sequence[str], places: Sequence[int], rows: Iterator[tuple[int, list[str]]], first: int
) -> Iterator[Rows]:
    import pyarrow as pa

    failure = None
    while failure is None:
        lines: list[int] = []
        taken: list[list[str]] = []
        try:
            for line, row in islice(rows, ROWS_AT_ONCE):
                lines.append(line)
                taken.append(row)
        except UserError as error:  # of the row after those that are whole, which are looked at first
            failure = error
        if lines:
            cells = list(zip(*taken, strict=True))
            texts = [pa.array(cells[place], pa.large_string()) for place in places]
            yield Rows(first, lines, dict(zip(columns, texts, strict=True)))
        elif failure is None:
            return
        first += len(lines)
    raise failure


def _parquet_parts(path: Path, columns: Sequence[str] | None) -> Iterator[Rows]:
    check_regular(path)
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import types

    try:
        with pq.ParquetFile(path, buffer_size=_BUFFER) as file:
            header = file.schema_arrow.names
            names = [canonical(name) for name in header]
            if columns is None:
                plain = [not types.is_nested(kind) and not types.is_binary(kind) for kind in file.schema_arrow.types]
                columns = [name for name, is_plain in zip(names, plain, strict=True) if is_plain]
            else:
                check_columns(path, names, columns)
                _check_no_images(path, dict(zip(names, file.schema_arrow.types, strict=True)), columns)
            wanted = {header[names.index(column)]: column for column in columns}
            count = 0
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=list(wanted)):
                batch.validate(full=True)  # texts are UTF-8
                cells = {wanted[name]: column for name, column in as_written(batch).items()}
                yield Rows(count, range(count + 1, count + len(batch) + 1), cells)
                count += len(batch)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: cannot be read as Parquet: {str(error).splitlines()[0]}") from None


def as_written(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    """The columns of a batch, by name; of numbers of less than double precision, what their shortest texts spell.

    The 0.7 of a CSV file lies a little below 0.7 in single precision: as a double, that would be another bin's.
    """
    return {name: _doubles(batch.column(name)) for name in batch.schema.names}


def _doubles(column: pa.Array) -> pa.Array:
    import pyarrow as pa
    from pyarrow import types

    if types.is_dictionary(column.type) and types.is_floating(column.type.value_type):
        column = column.dictionary_decode()
    if types.is_float16(column.type):
        # Arrow spells these by their value, numpy by the fewest digits that tell one from the next.
        words = [None if value is None else str(np.float16(value)) for value in column.to_pylist()]
        return pa.array(words, pa.string()).cast(pa.float64())
    return column.cast(pa.string()).cast(pa.float64()) if types.is_float32(column.type) else column


def _check_no_images(path: Path, kinds: Mapping[str, pa.DataType], columns: Sequence[str]) -> None:
    """Refuses columns that hold images, as the Hugging Face hub's Parquet files do.

    Raises:
        UserError: one of ``columns`` does.
    """
    from pyarrow import types

    for column in columns:
        kind = kinds[column]
        if types.is_struct(kind) and "bytes" in {field.name for field in kind}:
            raise UserError(f"{path}: column {column!r} holds images, not words; `multitask init` writes them to files")


def rows(path: Path, columns: Sequence[str], delimiter: str, encoding: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of a table that no config names, each with its number; arguments and errors as of ``parts``."""
    if not _is_parquet(path):  # whose rows need no Arrow
        yield from read_csv(path, columns, delimiter=delimiter, encoding=encoding)
        return
    for part in _parquet_parts(path, columns):
        values = [column.to_pylist() for column in part.columns.values()]
        for line, *row in zip(part.lines, *values, strict=True):
            yield line, dict(zip(part.columns, row, strict=True))
