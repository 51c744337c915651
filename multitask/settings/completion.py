"""The rest of a ``--set KEY=VALUE`` that somebody has begun to type."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from multitask.settings.key_types import yaml_text
from multitask.settings.keys import attribute_text, docstring
from multitask.settings.schema import Settings
from multitask.settings.tables import field_type, unwrap


def complete_setting(model: type[Settings], data: Mapping[str, Any], begun: str) -> list[tuple[str, str]]:
    """Ways to go on, each with the first line of what is known of it: the next part of the key, or the value.

    A key that leads on ends in a dot, one that is whole in ``=``.

    Args:
        model: of the config.
        data: of the config that is changed, which tells names and variants; need not be valid.
        begun: what was typed.
    """
    key, equals, _ = begun.partition("=")
    parents, dot, name = key.rpartition(".")
    annotation, within = _place(model, data, parents.split(".") if dot else [])
    if equals:
        _, table = unwrap(annotation)
        is_tag = table is not None and name == table.tag
        values = _values(annotation if is_tag else _place(annotation, within, [name])[0])
        found = ((f"{key}={value}", text) for value, text in values)
    else:
        found = ((f"{parents}{dot}{name}", text) for name, text in _keys(annotation, within))
    return [(whole, text.partition("\n")[0]) for whole, text in found if whole.startswith(begun)]


def _place(annotation: Any, data: Any, path: list[str]) -> tuple[Any, Any]:
    """The annotation and the data at a path; None: no such key is known."""
    for part in path:
        inner, row = _section(annotation, data)
        fields = row.model_fields if row is not None else {}
        if part in fields:
            annotation = field_type(fields[part])
        else:
            annotation = get_args(inner)[1] if get_origin(inner) is dict else None
        data = data.get(part) if isinstance(data, Mapping) else None
    return annotation, data


def _section(annotation: Any, data: Any) -> tuple[Any, type[Settings] | None]:
    """An annotation without what annotates it, and the settings class that stands there by what the data say."""
    inner, table = unwrap(annotation)
    if table is not None:
        return inner, table.row(data if data is not None else {})
    return inner, inner if isinstance(inner, type) and issubclass(inner, Settings) else None


def _keys(annotation: Any, data: Any) -> Iterator[tuple[str, str]]:
    inner, row = _section(annotation, data)
    if row is not None:
        for name, info in row.model_fields.items():
            within = data.get(name) if isinstance(data, Mapping) else None
            below, section = _section(field_type(info), within)
            leads_on = section is not None or get_origin(below) is dict
            text = attribute_text(row, name) or (docstring(section) if section is not None else "")
            yield name + ("." if leads_on else "="), text
    elif get_origin(inner) is dict and isinstance(data, Mapping):
        _, section = _section(get_args(inner)[1], None)
        yield from ((f"{name}{'=' if section is None else '.'}", "") for name in data)


def _values(annotation: Any) -> Iterator[tuple[str, str]]:
    """The values that can be listed: rows of a table, words, truth values."""
    _, table = unwrap(annotation)
    if table is not None:
        yield from ((name, docstring(row)) for name, row in table.items())
        return
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _values(arguments[0])
    elif origin in (Union, types.UnionType):
        for member in arguments:
            yield from _values(member)
    elif origin is Literal:
        yield from ((yaml_text(value), "") for value in arguments)
    elif annotation is bool:
        yield from (("true", ""), ("false", ""))
    elif annotation is type(None):
        yield "null", ""
