"""Rows of a CSV file, and the reason where it cannot be read."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from multitask.data.other_files import HEAD_BYTES, other_kind
from multitask.errors import UserError, nearest
from multitask.utils.files import check_regular
from multitask.utils.spelling import canonical

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}

_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF8: "utf-8-sig"} | {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""The encodings that a file says of itself; UTF-32's mark begins with that of UTF-16, and so stands first."""


class MissingColumnError(UserError):
    """A table lacks a column.

    Args:
        path: the table's.
        column: which.
        columns: those that it has.
    """

    def __init__(self, path: Path, column: str, columns: Iterable[str]) -> None:
        super().__init__(f"{path}: has no column {column!r}{nearest(column, columns)}")
        self.column = column


def read_csv(
    path: Path, required: Iterable[str], *, delimiter: str = ",", encoding: str = "utf-8", configurable: bool = False
) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with their line numbers, by column; arguments and errors as of ``csv_cells``."""
    rows = csv_cells(path, required, delimiter=delimiter, encoding=encoding, configurable=configurable)
    _, names = next(rows)
    for line, cells in rows:
        yield line, dict(zip(names, cells, strict=True))


def csv_cells(
    path: Path, required: Iterable[str], *, delimiter: str = ",", encoding: str = "utf-8", configurable: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """The columns of a CSV file, and its rows, as many cells each, with their line numbers; empty rows are passed over.

    Args:
        path: the file.
        required: the columns that it must have, as ``canonical`` spells them; so are those that it gives.
        delimiter: what stands between cells.
        encoding: of the text, unless the file begins with a mark that says another.
        configurable: whether ``delimiter`` and ``encoding`` are settings, for the errors to name.

    Raises:
        UserError: the file is missing, is no CSV text, lacks a column, or a row has too few or too many cells.
    """
    required = tuple(required)
    check_regular(path)
    with csv_errors(path, encoding, configurable):
        if path.exists() and not path.is_file():  # a pipe that nobody writes to, or a device that never ends
            raise UserError(f"{path}: is no file")
        head = _head(path)
        encoding = _encoding(head, encoding)
        if b"\0" in head and not encoding.lower().startswith(("utf-16", "utf-32", "utf_16", "utf_32")):
            raise UserError(
                f"{path}: is no CSV text, or UTF-16 without its mark: it holds zero bytes; save it as UTF-8"
            )
        with path.open(encoding=encoding, newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = _first_filled(reader)
            if header and header[0].lower().startswith("sep="):  # which Excel writes, and reads, before the header
                header = _first_filled(reader)
            if not header:
                raise UserError(f"{path}: is empty; its first line must name the columns {', '.join(required)}")
            names = [canonical(name) for name in header]
            _check_separated(path, header, names, required, delimiter, configurable)
            check_columns(path, names, required)
            yield reader.line_num, names
            yield from _rows(path, file, delimiter, len(names), reader.line_num)


def csv_rest(
    path: Path, offset: int, num_lines: int, num_columns: int, delimiter: str, encoding: str, configurable: bool
) -> Iterator[tuple[int, list[str]]]:
    """The rows of ``csv_cells`` behind so many bytes, which are so many lines; errors are the same."""
    with csv_errors(path, encoding, configurable), path.open("rb") as file:
        file.seek(offset)
        with io.TextIOWrapper(file, encoding, newline="") as text:
            yield from _rows(path, text, delimiter, num_columns, num_lines)


def _rows(
    path: Path, file: Iterable[str], delimiter: str, num_columns: int, num_lines: int
) -> Iterator[tuple[int, list[str]]]:
    """The rows of lines that stand behind so many others."""
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    for cells in reader:
        if not "".join(cells).strip():
            continue
        line = num_lines + reader.line_num
        if len(cells) != num_columns:
            raise UserError(f"{path}, line {line}: must have {num_columns} cells, found {len(cells)}")
        yield line, cells


@contextmanager
def csv_errors(path: Path, encoding: str, configurable: bool) -> Iterator[None]:
    """Says in one line what the operating system, the text's codec or ``csv`` finds wrong.

    Raises:
        UserError: one of them did.
    """
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeError:
        raise UserError(f"{path}: {_not_text(path, csv_encoding(path, encoding), configurable)}") from None
    except (OSError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as CSV: {error}") from None


def _first_filled(rows: Iterable[list[str]]) -> list[str] | None:
    return next((cells for cells in rows if "".join(cells).strip()), None)


def find_delimiter(path: Path, column: str, encoding: str = "utf-8") -> str:
    """The delimiter by which a CSV file's header has a column; a comma where none does, for ``read_csv`` to refuse.

    Args:
        path: the file.
        column: as ``canonical`` spells it.
        encoding: as of ``read_csv``.
    """
    check_regular(path)
    try:
        with path.open("rb") as file:
            head = file.read(65_536)
    except OSError:
        return ","
    encoding = _encoding(head, encoding)
    lines = [line for line in head.decode(encoding, errors="replace").splitlines() if line.strip(" ,;\t|")]
    if lines and lines[0].lower().startswith("sep="):
        del lines[0]
    for delimiter in DELIMITERS:
        if column in map(canonical, next(csv.reader(lines[:1], delimiter=delimiter), ())):
            return delimiter
    return ","


def _encoding(head: bytes, encoding: str) -> str:
    """The encoding that a file says of itself; else ``encoding``."""
    return next((name for mark, name in _MARKS.items() if head.startswith(mark)), encoding)


def csv_encoding(path: Path, encoding: str) -> str:
    """The encoding of a CSV file that is there: that which it says of itself, else ``encoding``."""
    with path.open("rb") as file:
        return _encoding(file.read(max(map(len, _MARKS))), encoding)


def check_columns(path: Path, names: Sequence[str], required: Iterable[str]) -> None:
    """Refuses a table that lacks one of some columns, or has it twice.

    Raises:
        UserError: it does; the line names the column. ``MissingColumnError`` where there is none.
    """
    for column in required:
        if column not in names:
            raise MissingColumnError(path, column, names)
        if names.count(column) > 1:
            raise UserError(f"{path}: has {names.count(column)} columns {column!r}")


def refuse_other_file(path: Path) -> None:
    """Refuses what is no text but a kind of file that is known.

    Raises:
        UserError: the line says how to make a table of it.
    """
    _head(path)


def _head(path: Path) -> bytes:
    """The file's first bytes.

    Raises:
        UserError: they are those of another kind of file.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if (what := other_kind(head)) is not None:
        raise UserError(f"{path}: is no CSV text but {what}")
    return head


def _check_separated(
    path: Path, header: Sequence[str], names: Sequence[str], required: Sequence[str], delimiter: str, configurable: bool
) -> None:
    """Checks that no other delimiter gives the columns that this one does not."""
    lacking = [column for column in required if column not in names]
    if not lacking:
        return
    line = delimiter.join(header)
    for other, words in DELIMITERS.items():
        cells = [canonical(cell) for cell in next(csv.reader(io.StringIO(line), delimiter=other))]
        if other != delimiter and lacking[0] in cells:
            how = f"set the source's delimiter: {_quoted(other)}" if configurable else "save it with commas"
            raise UserError(f"{path}: its cells are separated by {words}, not {DELIMITERS[delimiter]}; {how}")


def _quoted(delimiter: str) -> str:
    """The delimiter as YAML has it."""
    return '"\\t"' if delimiter == "\t" else f'"{delimiter}"'


def _not_text(path: Path, encoding: str, configurable: bool) -> str:
    """The error for bytes that are no text of an encoding."""
    data = path.read_bytes()
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x} in line {line}" if error.start < len(data) else "it is cut"
    except UnicodeError as error:
        found = str(error)
    else:
        found = "it changed while it was read"
    how = "save it as UTF-8 (in Excel: 'CSV UTF-8')"
    if configurable:
        how += ", or set the source's encoding, as cp1252 (Western Europe) or cp949 (Korea)"
    return f"is no {encoding.upper()} text ({found}); {how}"
