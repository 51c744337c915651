"""Settings that are changed by dotted keys, as with ``--set``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from multitask.errors import UserError, quoted
from multitask.settings.schema import Settings, located
from multitask.settings.tables import field_type, unwrap
from multitask.settings.yaml_text import MAX_DEPTH, parse_yaml

Changes = dict[str, Any]
"""Dotted config key -> the value that it gets, which may be whatever YAML can hold."""


def parse_override(text: str) -> tuple[str, Any]:
    """``key=value`` of ``--set`` as (dotted key, value), the value read as YAML.

    Raises:
        UserError: there is no ``=``, no key, or the value is no YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip() or not all(key.strip().split(".")):
        raise UserError(f"--set {text}: must be key=value, with the key's parts joined by dots")
    return key.strip(), located(parse_yaml(value, f"--set {key}"), Path.cwd())


def override(model: type[Settings], data: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``data`` with dotted keys set to new values.

    Naming another variant (``heads.age.loss.name: focal``) starts that section afresh, since the old variant's
    settings are not the new one's; settings that are changed together with the name are kept.

    Raises:
        UserError: a key leads through something that is no section.
    """
    result = dict(data)
    # Names first, whatever the order they were given in, so that they do not wipe what is set beside them.
    for key in changes:
        if key.count(".") >= MAX_DEPTH:
            raise UserError(f"{key}: must have at most {MAX_DEPTH} parts joined by dots")
    for key, value in sorted(changes.items(), key=lambda change: (change[0].count("."), not _names_row(change[0]))):
        result = _set(model, result, key.split("."), value, key)
    return result


def _names_row(key: str) -> bool:
    return key.rpartition(".")[2] in ("name", "kind")


def _set(annotation: Any, data: Any, path: list[str], value: Any, key: str) -> Any:
    inner, table = unwrap(annotation)
    if table is not None:
        data = table.fill(data if data is not None else {})
        if path == [table.tag]:
            same = isinstance(data, Mapping) and data[table.tag] == value
            return data if same else {table.tag: value}
        inner = table.row(data)
    if data is None:
        data = {}
    if not isinstance(data, Mapping):
        raise UserError(f"{key}: leads through a value that is no section, found {quoted(data)}")
    head, *rest = path
    if not rest:
        return {**data, head: value}
    below: Any = None
    if isinstance(inner, type) and issubclass(inner, Settings) and head in inner.model_fields:
        below = field_type(inner.model_fields[head])
    elif get_origin(inner) is dict:
        below = get_args(inner)[1]
    return {**data, head: _set(below, data.get(head), rest, value, key)}


def flatten(data: Mapping[str, Any], prefix: str = "") -> Changes:
    """Nested sections as dotted key -> value."""
    flat: Changes = {}
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
