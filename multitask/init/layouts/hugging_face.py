"""A Hugging Face dataset on disk, as ``save_to_disk`` leaves it: Arrow files, read without that library."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multitask.data.sources import cells
from multitask.errors import UserError
from multitask.init.layouts.base import Layout, Observed, Options
from multitask.init.layouts.extraction import Extraction
from multitask.init.layouts.row_words import RowWords
from multitask.utils.files import check_regular

if TYPE_CHECKING:
    import pyarrow as pa

_SPLITS, _STATE, _INFO = "dataset_dict.json", "state.json", "dataset_info.json"


class HuggingFace(Layout):
    """One dataset, or a dictionary of splits; its first column of images is used."""

    title = "a Hugging Face dataset on disk"

    def fits(self) -> bool:
        """Whether a folder holds what ``save_to_disk`` writes."""
        return (self.path / _SPLITS).is_file() or ((self.path / _STATE).is_file() and (self.path / _INFO).is_file())

    def extracts(self) -> bool:
        """Always: no source reads Arrow files."""
        return True

    def observe(self, options: Options) -> Observed:
        """The rows, whose images are written to files."""
        assert options.room is not None, "since it extracts"
        parts = _json(self.path / _SPLITS).get("splits") if (self.path / _SPLITS).is_file() else [""]
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise UserError(f"{self.path / _SPLITS}: names no splits")
        found, words = Extraction(options.room), RowWords()
        classes: dict[str, tuple[str, ...]] = {}
        for part in parts:
            _extract(self.path / part, part, found, words, classes)
        if not found.images:
            raise UserError(f"{self.path}: holds no images")
        return Observed(options.room, found.images, words.columns, None, classes=classes, assumed=_assumed(parts))


def _assumed(parts: list[str]) -> tuple[str, ...]:
    return (f"the splits are the set's own: {', '.join(parts)}",) if len(parts) > 1 else ()


def _extract(folder: Path, part: str, found: Extraction, rows: RowWords, classes: dict[str, tuple[str, ...]]) -> None:
    features = _json(folder / _INFO).get("features")
    if not isinstance(features, dict):
        raise UserError(f"{folder / _INFO}: describes no features")
    kinds = {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    image = next((name for name, feature in kinds.items() if feature.get("_type") == "Image"), None)
    if image is None:
        raise UserError(f"{folder}: has no column of images")
    names = class_names(features)
    classes |= names
    words = [name for name, feature in kinds.items() if feature.get("_type") in ("Value", "ClassLabel")]
    for row, values in enumerate(_rows(folder, [image, *words])):
        where = f"{folder}, row {row}"
        said = {name: value_word(values[name], names.get(name), f"{where}: {name}") for name in words}
        if part:
            said["split"] = part
        found.add(f"{part or 'images'}/{row:07d}", image_bytes(values[image], where, folder), where)
        rows.add(said)


def _rows(folder: Path, columns: list[str]) -> Iterator[Mapping[str, Any]]:
    import pyarrow as pa

    files = _json(folder / _STATE).get("_data_files")
    names = [file.get("filename") for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    for name in names:
        file = folder / str(name)
        try:
            with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as batches:
                for batch in batches:
                    yield from rows_of(batch.select(columns))
        except FileNotFoundError:
            raise UserError(f"{file}: no such file") from None
        except (OSError, KeyError, pa.ArrowException) as error:
            raise UserError(f"{file}: is damaged, or no Arrow file: {str(error).splitlines()[0]}") from None


def rows_of(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """The rows of a batch, by column; numbers are those that a CSV file would have."""
    values = {name: column.to_pylist() for name, column in cells.as_written(batch).items()}
    for row in zip(*values.values(), strict=True):
        yield dict(zip(values, row, strict=True))


def class_names(features: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """By column, the names of the classes that its indices stand for, as that library describes features."""
    kinds = {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    return {
        name: tuple(map(str, feature["names"]))
        for name, feature in kinds.items()
        if feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list)
    }


def value_word(value: object, names: tuple[str, ...] | None, where: str) -> str:
    """A cell as a word: of an index the class's name.

    Raises:
        UserError: it is no index of a class.
    """
    if value is None or names is None:
        return cells.text(value)
    if not isinstance(value, int) or value >= len(names):
        raise UserError(f"{where}: is none of {len(names)} classes: {value!r}")
    return names[value] if value >= 0 else ""  # -1 is how that library writes an unknown class


def image_bytes(value: object, where: str, folder: Path) -> bytes:
    """The file of an image, from a cell of bytes and path, or of bytes; a path is relative to ``folder``.

    Raises:
        UserError: there is none; the line begins with ``where``.
    """
    data, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
    if isinstance(data, bytes):
        return data
    if isinstance(path, str):
        check_regular(folder / path)
        try:
            return (folder / path).read_bytes()
        except OSError as error:
            raise UserError(f"{where}: its image {path} cannot be read: {error.strerror}") from None
    raise UserError(f"{where}: has no image")


def _json(path: Path) -> dict[str, Any]:
    check_regular(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: is damaged, or no JSON: {str(error).splitlines()[0]}") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: must hold keys and values")
    return data
