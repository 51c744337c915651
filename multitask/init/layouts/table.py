"""Any table: a CSV or Parquet file with a column that leads to images."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from multitask.data.sources import cells
from multitask.data.sources.columns import texts
from multitask.data.sources.csv_file import DELIMITERS, refuse_other_file
from multitask.data.sources.table import FILES
from multitask.errors import UserError
from multitask.init.layouts.base import Layout, Observed, Options
from multitask.init.layouts.images import Found, Images, Words
from multitask.init.one_hot import joined_classes
from multitask.utils.strings import Strings
from multitask.utils.texts import TextsBuilder

_WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods")


@dataclass(frozen=True)
class _Leading:
    """A table that leads to images; fields as the arguments of ``of_rows``."""

    path: Path
    columns: dict[str, Strings]
    column: str
    found: Found
    images: Images
    delimiter: str


class AnyTable(Layout):
    """A table in a file, or the one in a folder that leads to images below it."""

    title = "a table"
    takes = frozenset({"images"})

    @cached_property
    def _best(self) -> _Leading | None:
        """Of a folder, the table that leads to images; kept, since to read a million rows takes seconds."""
        return _best_table(self.path)

    def fits(self) -> bool:
        """Whether it is a table, or a folder that holds one which leads to images."""
        if self.path.is_file():
            return self.path.suffix.lower() in FILES
        return self.path.is_dir() and self._best is not None

    def observe(self, options: Options) -> Observed:
        """The rows whose images are there."""
        best = self._best if self.path.is_dir() else None
        path = self.path if best is None else best.path
        if best is None or options.images is not None:
            best = _leading(path, Images(options.images) if options.images else _images_beside(path))
        unread = self.unread
        what = "tables here are" if len(unread) > 1 else "table here is"
        check = (f"only {path.name} is read; the other {what} not: {', '.join(unread)}",) if unread else ()
        found = of_rows(path, best.columns, best.column, best.found, best.images, best.delimiter, check=check)
        return joined_classes(found, options)

    @cached_property
    def unread(self) -> list[str]:
        """Of a folder, the names of its other tables, without those of images to be answered."""
        best = self._best if self.path.is_dir() else None
        if best is None:
            return []
        return [table.name for table in _tables(self.path) if table != best.path and table.stem.lower() != "queries"]


def labels_assumed(labels: Sequence[str], options: Options, columns: Iterable[str]) -> tuple[str, ...]:
    """Says which of a set's columns are its labels, and what others ``--labels`` takes, unless that named them."""
    if options.labels:
        return ()
    others = ", ".join(name for name in columns if name not in labels)
    return (f"labels are {', '.join(labels)}" + (f"; --labels takes others: {others}" if others else ""),)


def of_rows(
    path: Path,
    columns: Mapping[str, Words],
    column: str,
    found: Found,
    images: Images,
    delimiter: str | None,
    **known: Any,
) -> Observed:
    """What a table says.

    Args:
        path: the file.
        columns: of all its rows.
        column: that of the paths.
        found: of each row the image, relative to the images' folder; None: there is none.
        images: those that there are.
        delimiter: by which a table source can read the file; None: it cannot.
        known: further fields of ``Observed``.

    Raises:
        UserError: it leads to no image.
    """
    kept, names, prefix, check = _leads(path, columns[column], found, images)
    whole = kept is None or len(kept) == len(found)
    root = images.root / prefix if prefix else images.root
    source: dict[str, object] | None = None
    if whole and prefix is not None and delimiter is not None:
        inside = path.parent.resolve() == root.resolve()
        source = {"name": "table", **({"file": path.name} if inside else {"table": str(path)})}
        if delimiter != "," and path.suffix.lower() != ".parquet":
            source["delimiter"] = delimiter
        if column != "path":
            source["path"] = column
    else:
        root = images.root
    start = 0 if root == images.root else len(prefix or "")
    others = {name: Strings.of(words) for name, words in columns.items() if name != column}
    return Observed(
        root=root,
        images=Strings.of(name[start:] for name in names) if start else Strings.of(names),
        columns=others if kept is None or whole else {name: words[kept] for name, words in others.items()},
        source=source,
        check=(*known.pop("check", ()), *check, *images.notes),
        said_by=path,
        **{"assumed": (f"images are what the column {column!r} of {path.name} leads to below {images.root}",), **known},
    )


def _leads(
    path: Path, cells: Words, found: Found, images: Images
) -> tuple[list[int] | None, Words, str | None, list[str]]:
    """The rows that lead to images no earlier one does (None: all), these, ``common_prefix``, and notes on the others.

    Raises:
        UserError: there is none.
    """
    if found is cells and isinstance(found, Strings) and found.num_distinct == len(found):
        return None, found, "", []
    kept: list[int] = []
    names: list[str] = []
    seen: set[str] = set()
    for row, image in enumerate(found):
        if image is not None and image not in seen:
            seen.add(image)
            names.append(image)
            kept.append(row)
    if not kept:
        raise UserError(f"{path}: leads to no image below {images.root}")
    notes = []
    given = list(cells)
    missing = [row for row, image in enumerate(found) if image is None]
    if missing:
        first = given[missing[0]]
        notes.append(f"{len(missing):,} of {len(found):,} rows lead to no image, as {first}, and are left out")
    if twice := len(found) - len(missing) - len(kept):
        notes.append(f"{twice:,} rows name an image that an earlier row names, and are left out")
    return kept, names, common_prefix([(given[row], name) for row, name in zip(kept, names, strict=True)]), notes


def labelled_rows(
    columns: Mapping[str, list[str]], labels: Iterable[str]
) -> tuple[dict[str, list[str]], tuple[str, ...]]:
    """The rows that have a label at all, and a sentence on the others where there are some."""
    kept = [row for row, words in enumerate(zip(*(columns[label] for label in labels), strict=True)) if any(words)]
    num = len(next(iter(columns.values()))) - len(kept)
    what = "image has no label and is" if num == 1 else "images have no label and are"
    note = (f"{num:,} {what} left out",) if num else ()
    return {name: [words[row] for row in kept] for name, words in columns.items()}, note


def common_prefix(pairs: Sequence[tuple[str, str]]) -> str | None:
    """The folder, with its slash, that stands before each cell in the path of its image; None: something else does."""
    if not pairs or not pairs[0][1].endswith(pairs[0][0]):
        return None
    prefix = pairs[0][1].removesuffix(pairs[0][0])
    return prefix if all(image == prefix + cell for cell, image in pairs) else None


def read_columns(path: Path) -> tuple[dict[str, Strings], str]:
    """The columns of a table as words, and a CSV file's delimiter.

    Raises:
        UserError: it cannot be read, or has no rows.
    """
    delimiter = _delimiter(path)
    built: dict[str, TextsBuilder] = {}
    for rows in cells.parts(path, None, delimiter, "utf-8", configurable=False):
        for name, column in rows.columns.items():
            built.setdefault(name, TextsBuilder()).extend_arrow(texts(column))
    if not built:
        raise UserError(f"{path}: holds no rows")
    return {name: Strings.of_texts(built.pop(name).build()) for name in list(built) if name}, delimiter


def _delimiter(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            line = file.readline(100_000)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if not line.strip():
        raise UserError(f"{path}: is empty; its first line must name the columns")
    return max(DELIMITERS, key=lambda delimiter: len(next(csv.reader([line], delimiter=delimiter), ())))


def table_problem(folder: Path) -> str | None:
    """Why the first of the tables in a folder does not lead to images; None: there is no table, or one does."""
    tables = _tables(folder)
    try:
        if not tables:
            for workbook in _files(folder, _WORKBOOKS):
                refuse_other_file(workbook)
            return None
        _leading(tables[0], Images(folder))
    except UserError as error:
        return str(error)
    return None


def _images_beside(table: Path) -> Images:
    """The images below a table's folder.

    Raises:
        UserError: there is none; the line says how others are named, and that addresses lead to none.
    """
    try:
        return Images(table.parent)
    except UserError as error:
        if "holds no images" not in str(error):  # as a link that leads out of the folder
            raise
        columns = read_columns(table)[0]
        named = [column for column, words in columns.items() if any("://" in word for word in words[:10])]
        why = "no image is below its folder;"
        if named:
            why = f"{named[0]} holds addresses, which are not fetched: download what they lead to, and"
        raise UserError(f"{table}: {why} name the images' folder with --images") from None


def _best_table(folder: Path) -> _Leading | None:
    """The table in a folder that leads to images; None: none does."""
    tables = _tables(folder)
    if not tables:
        return None
    try:
        images = Images(folder)
    except UserError:
        return None
    for table in tables:
        with suppress(UserError):
            return _leading(table, images)
    return None


def _leading(table: Path, images: Images) -> _Leading:
    """A table that leads to images.

    Raises:
        UserError: it does not, or cannot be read.
    """
    columns, delimiter = read_columns(table)
    column, found = images.leading(columns, table)
    return _Leading(table, columns, column, found, images, delimiter)


def _tables(folder: Path) -> list[Path]:
    """The tables in a folder, ``train`` and ``labels`` before others, the largest first."""
    tables = _files(folder, FILES)
    words = ("train", "label", "annotation", "meta", "")
    rank = {table: next(place for place, word in enumerate(words) if word in table.stem.lower()) for table in tables}
    return sorted(tables, key=lambda table: (rank[table], -table.stat().st_size, table.name))


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    try:
        files = [Path(entry.path) for entry in os.scandir(folder) if entry.name.lower().endswith(suffixes)]
    except OSError:
        return []
    return sorted(file for file in files if not file.name.startswith((".", "~$")) and file.is_file())
