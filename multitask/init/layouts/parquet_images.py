"""Parquet files that hold the images themselves, as those of Hugging Face's hub do: a column of bytes and paths."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multitask.errors import UserError
from multitask.init.layouts.base import Layout, Observed, Options
from multitask.init.layouts.extraction import Extraction
from multitask.init.layouts.hugging_face import class_names, image_bytes, rows_of, value_word
from multitask.init.layouts.row_words import RowWords
from multitask.utils.files import check_regular
from multitask.utils.spelling import canonical

if TYPE_CHECKING:
    import pyarrow as pa

_SUFFIX = ".parquet"
_AT_ONCE = 100
"""Rows that are read at a time: their images may be large."""
_SPLIT = re.compile(r"(?P<split>[A-Za-z][A-Za-z0-9_.]*?)-\d+-of-\d+")
"""Names of files as ``train-00000-of-00002``."""


class ParquetImages(Layout):
    """A file, or a folder of them, also in ``data``: with a column of ``{bytes, path}``, or of bytes alone."""

    title = "Parquet files of images"

    def fits(self) -> bool:
        """Whether the first file has such a column: a look at its schema."""
        files = _files(self.path)
        try:
            return bool(files) and _image_column(_schema(files[0])) is not None
        except UserError:
            return False  # as a table it is refused

    def extracts(self) -> bool:
        """Always: no source reads images in Parquet files."""
        return True

    def observe(self, options: Options) -> Observed:
        """The rows, whose images are written to files."""
        assert options.room is not None, "since it extracts"
        files = _files(self.path)
        splits = {file: _split_of(file, self.path) for file in files}
        told = len(set(splits.values())) > 1
        rows = _Rows(options.room)
        for number, file in enumerate(files):
            rows.extract(file, f"{splits[file] or 'images'}/{number:05d}", {"split": splits[file]} if told else {})
        if not rows.found.images:
            raise UserError(f"{self.path}: holds no images")
        what = "row has no image and is" if rows.num_without == 1 else "rows have no image and are"
        assumed = [f"the images are those in the column {rows.column!r}"]
        if told:
            assumed.append(f"the splits are what the files are called: {', '.join(dict.fromkeys(splits.values()))}")
        return Observed(
            options.room,
            rows.found.images,
            rows.words.columns,
            None,
            classes=rows.classes,
            assumed=tuple(assumed),
            check=(f"{rows.num_without:,} {what} left out",) if rows.num_without else (),
        )


class _Rows:
    """The rows of files, one after the other.

    Args:
        folder: to be made for the images.
    """

    def __init__(self, folder: Path) -> None:
        self.found = Extraction(folder)
        self.words = RowWords()
        self.classes: dict[str, tuple[str, ...]] = {}
        self.column = ""
        self.num_without = 0

    def extract(self, file: Path, place: str, told: dict[str, str]) -> None:
        """Writes the images of a file, named by ``place`` and row; ``told`` is said of each that says no other."""
        schema = _schema(file)
        column = _image_column(schema)
        if column is None:
            raise UserError(f"{file}: has no column of images, as others in its folder have")
        self.column = self.column or column
        names = _classes(schema)
        self.classes |= {canonical(name): of for name, of in names.items()}
        for row, values in enumerate(_rows(file, [column, *_words_of(schema)])):
            where = f"{file}, row {row + 1}"
            image = values.pop(column)
            if image is None:
                self.num_without += 1
                continue
            said = {
                canonical(name): value_word(value, names.get(name), f"{where}: {name}")
                for name, value in values.items()
            }
            self.found.add(f"{place}-{row:07d}", image_bytes(image, where, file.parent), where)
            self.words.add({**told, **said})


def _files(path: Path) -> list[Path]:
    """The Parquet files that a path stands for, by name."""
    if path.is_file():
        return [path] if path.suffix.lower() == _SUFFIX else []
    for folder in (path, path / "data"):
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        files = [Path(entry.path) for entry in entries if entry.name.lower().endswith(_SUFFIX) and entry.is_file()]
        if files:
            return files
    return []


def _split_of(file: Path, path: Path) -> str:
    """The split that a file is of; empty where its name says none."""
    found = _SPLIT.fullmatch(file.stem)
    return found["split"] if found else file.stem if path.is_dir() else ""


def _schema(file: Path) -> pa.Schema:
    check_regular(file)
    import pyarrow.parquet as pq

    with _reading(file):
        return pq.read_schema(file)


def _image_column(schema: pa.Schema) -> str | None:
    """The first column of images; None: there is none."""
    from pyarrow import types

    def holds(kind: pa.DataType) -> bool:
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    for field in schema:
        if types.is_struct(field.type):
            inner = {part.name: part.type for part in field.type}
            if {*inner} == {"bytes", "path"} and (holds(inner["bytes"]) or types.is_null(inner["bytes"])):
                return str(field.name)
    named = [
        field.name for field in schema if holds(field.type) and re.search("image|img|photo|jpe?g|png", field.name, re.I)
    ]
    return str(named[0]) if named else None


def _words_of(schema: pa.Schema) -> list[str]:
    """The columns whose cells are words or numbers."""
    from pyarrow import types

    kinds = {field.name: field.type for field in schema}
    return [
        name
        for name, kind in kinds.items()
        if not types.is_nested(kind) and not types.is_binary(kind) and not types.is_large_binary(kind)
    ]


def _classes(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """The names of classes that a file from that library says its indices stand for."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return class_names(features) if isinstance(features, dict) else {}


def _rows(file: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with _reading(file), pq.ParquetFile(file) as opened:
        for batch in opened.iter_batches(batch_size=_AT_ONCE, columns=columns):
            yield from rows_of(batch)


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """A context in which errors of reading become a line that names the file."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{file}: cannot be read as Parquet: {str(error).splitlines()[0]}") from None
