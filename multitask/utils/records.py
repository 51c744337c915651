"""Records: trees of frozen dataclasses, written as JSON, and checked when they are read.

A record is a stdlib dataclass whose fields are plain values, records, and tuples and dictionaries of these; its field
names are the file's keys. Keys that it does not have are let through when a file is read, and keys with a default may
be missing, so that files of other versions can be read as far as they are the same. A record may have a ``version``,
whose default is the newest that can be read.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

import multitask
from multitask.errors import UserError, quoted
from multitask.utils.file_words import in_file_words
from multitask.utils.files import check_regular, plain, to_json

_AS_COMPUTED = "as computed"
"""The context of checks in which a ``Number`` may be none."""


def _number(value: object, check: ValidatorFunctionWrapHandler, info: ValidationInfo) -> object:
    if info.context == _AS_COMPUTED and isinstance(value, float) and not math.isfinite(value):
        return value
    return check(value)


Number = Annotated[float, Field(ge=-1e18, le=1e18, allow_inf_nan=False), WrapValidator(_number)]
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Score = Annotated[float, Field(ge=0, le=1), WrapValidator(_number)]
Gap = Annotated[float, Field(ge=-1, le=1)]
"""A difference of two scores."""
Interval = tuple[Score, Score]
GapInterval = tuple[Gap, Gap]


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Moment = Annotated[str, AfterValidator(_moment)]
"""An ISO 8601 date and time."""

ONLY_IF_KNOWN = {"only_if_known": True}
"""The metadata of a field, None by default, whose key is left out of the file where it is None."""

T = TypeVar("T")


def to_json_data(record: Any) -> Any:
    """A record as dictionaries, lists and values that JSON can hold: NaN and infinities become None."""
    return plain(to_data(record))


def to_data(record: Any) -> Any:
    """A record as dictionaries, lists and values; NaN and infinities stay."""
    if dataclasses.is_dataclass(record):
        known = ((field, getattr(record, field.name)) for field in dataclasses.fields(record))
        return {
            field.name: to_data(value)
            for field, value in known
            if value is not None or not field.metadata.get("only_if_known")
        }
    if isinstance(record, BaseModel):
        return record.model_dump(mode="json")
    if isinstance(record, Mapping):
        return {str(key): to_data(item) for key, item in record.items()}
    if isinstance(record, (list, tuple)):
        return [to_data(item) for item in record]
    return record


def value_at(record: Any, path: str) -> Any:
    """What stands in a record at a dotted path, in which tuples go by place, from 0: ``joint.classes.0.f1``.

    Raises:
        LookupError: there is no such place in it.
    """
    for step in path.split("."):
        if isinstance(record, Mapping):
            record = record[step]
        elif isinstance(record, (list, tuple)):
            if not step.isdigit():
                raise LookupError(step)
            record = record[int(step)]
        elif dataclasses.is_dataclass(record) and step in {field.name for field in dataclasses.fields(record)}:
            record = getattr(record, step)
        else:
            raise LookupError(step)
    return record


def number_paths(
    kind: Any, keys: Callable[[tuple[str, ...]], Iterable[object]], path: tuple[str, ...] = ()
) -> Iterator[str]:
    """The dotted path of every number in records of a kind, as of ``value_at``.

    Args:
        kind: a record's type, or that of one of its fields.
        keys: those that a dictionary, or a tuple of any length, at a path has.
        path: where ``kind`` stands.
    """
    arguments = get_args(kind)
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        for field in dataclasses.fields(kind):
            yield from number_paths(hints[field.name], keys, (*path, field.name))
    elif kind in (int, float):
        yield ".".join(path)
    elif get_origin(kind) in (Union, UnionType):
        for member in arguments:
            yield from number_paths(member, keys, path)
    elif get_origin(kind) is dict:
        for key in keys(path):
            yield from number_paths(arguments[1], keys, (*path, str(key)))
    elif get_origin(kind) is tuple:
        steps = enumerate(arguments) if ... not in arguments else ((key, arguments[0]) for key in keys(path))
        for step, member in steps:
            yield from number_paths(member, keys, (*path, str(step)))


def finite(value: float) -> float | None:
    """The value, or None where it is NaN or infinite, which JSON cannot hold."""
    return value if math.isfinite(value) else None


def record_to_json(record: Any, indent: int | None = 2) -> str:
    """A record as strict JSON with a line's end."""
    return to_json(to_json_data(record), indent)


def read_record(path: Path, kind: type[T]) -> T:
    """The record in a file.

    Raises:
        UserError: it cannot be read, is damaged, or is of a newer version.
    """
    return parse_record(read_text(path), kind, path)


def parse_record(text: str, kind: type[T], path: Path) -> T:
    """The record in a text of JSON; ``path`` is where it stands.

    Raises:
        UserError: it is damaged, or of a newer version; it names the file, the key and what was found.
    """
    data = parse_json(text, path)
    _check_version(data, kind, path)
    try:
        record: T = _adapter(cast(Any, kind)).validate_json(text, strict=True)
    except ValidationError as error:
        raise UserError(f"{path}: is damaged: {_in_words(error, data)}") from None
    return record


def from_data(data: object, kind: type[T]) -> T:
    """The record of which ``to_data`` made this; NaN and infinities stay.

    Raises:
        ValueError: it is none; names the key and what was found.
    """
    try:
        record: T = _adapter(cast(Any, kind)).validate_json(json.dumps(data), strict=True, context=_AS_COMPUTED)
    except ValidationError as error:
        raise ValueError(_in_words(error, data)) from None
    return record


def require(record: Any, path: Path, *names: str) -> None:
    """Checks that fields which may be missing from a file are there.

    Raises:
        UserError: one is not.
    """
    for name in names:
        if getattr(record, name) is None:
            raise UserError(f"{path}: is damaged: {name}: field required")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _check_version(data: Mapping[str, object], kind: type, path: Path) -> None:
    newest, found = getattr(kind, "version", None), data.get("version")
    if isinstance(newest, int) and isinstance(found, int) and found > newest:
        raise UserError(
            f"{path}: is of version {found}; this is multitask {multitask.__version__}, which reads up to {newest}"
        )


def _in_words(error: ValidationError, data: object) -> str:
    """The first thing that is wrong; of a value that may be of several kinds, as the kind that came furthest."""
    found = [(_keys(each["loc"], data, each["type"] == "missing"), each) for each in error.errors()]
    above = found[0][0]
    keys, first = max((pair for pair in found if pair[0][: len(above)] == above), key=lambda pair: len(pair[0]))
    message = in_file_words(first["msg"].removeprefix("Value error, "))
    shown = "" if first["type"] in ("missing", "value_error") else f", found {excerpt(first['input'])}"
    return f"{'.'.join(map(str, keys))}{': ' if keys else ''}{message}{shown}"


def _keys(steps: tuple[int | str, ...], data: Any, missing: bool) -> list[int | str]:
    """The keys among pydantic's steps, which are also into the members of a union; of what is missing the last too."""
    keys = []
    for step in steps:
        try:
            data = data[step]
        except (LookupError, TypeError):
            continue
        keys.append(step)
    return [*keys, steps[-1]] if missing else keys


def excerpt(value: object, most: int = 60) -> str:
    """A value as an error shows it."""
    text = quoted(value)
    return text if len(text) <= most else f"{text[:most]}..."


def parse_json(text: str, path: Path) -> dict[str, Any]:
    """JSON that holds keys and values; ``path`` is where it stands.

    Raises:
        UserError: it does not.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is damaged: {error}") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: is damaged: must hold keys and values")
    return data


def read_json(path: Path) -> dict[str, Any]:
    """A file of JSON that holds keys and values.

    Raises:
        UserError: it cannot be read, or does not.
    """
    return parse_json(read_text(path), path)


def read_text(path: Path) -> str:
    """A file's text.

    Raises:
        UserError: it cannot be read.
    """
    check_regular(path)
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is damaged: {error}") from None
