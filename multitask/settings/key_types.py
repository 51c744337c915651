"""The types and defaults of keys, in the words of YAML."""

from __future__ import annotations

import json
import types
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from multitask.settings.schema import Settings, resolve_path

_BEYOND = 1e18
"""A bound from here on is none that anybody meets."""
_PLAIN = {bool: "true or false", int: "whole number", float: "number", str: "text"}


def type_text(annotation: Any) -> str:
    """What may stand at a key that is no section, with bounds: "whole number from 1 to 256, or `auto`"."""
    options: list[str] = []
    _collect(annotation, (), options)
    *others, last = dict.fromkeys(options)
    return f"{', '.join(others)} or {last}" if others else last


def _collect(annotation: Any, metadata: tuple[Any, ...], options: list[str]) -> None:
    """Adds what an annotation allows to ``options``; of a union, what each of its members does."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        _collect(arguments[0], (*_flat(arguments[1:]), *metadata), options)
    elif origin in (Union, types.UnionType):
        for member in arguments:
            _collect(member, metadata, options)
    elif origin is Literal:
        options += [f"`{yaml_text(value)}`" for value in arguments]
    elif annotation is type(None):
        options.append("`null`")
    elif origin in (list, tuple):
        options.append(_list_text(arguments, metadata))
    elif origin is dict:
        options.append(f"names, each with {type_text(arguments[1])}")
    elif annotation in _PLAIN:
        is_path = any(isinstance(item, BeforeValidator) and item.func is resolve_path for item in metadata)
        options.append(("path" if is_path else _PLAIN[annotation]) + _bounds_text(metadata))
    else:
        options.append("any value")


def _flat(metadata: Iterable[Any]) -> Iterator[Any]:
    """What annotates a type, without pydantic's wrapping."""
    for item in metadata:
        yield from item.metadata if isinstance(item, FieldInfo) else [item]


def _list_text(items: tuple[Any, ...], metadata: tuple[Any, ...]) -> str:
    if items[-1] is Ellipsis or len(items) == 1:
        least = max((getattr(item, "min_length", 0) for item in metadata), default=0)
        return f"list{f' (at least {least})' if least else ''} of: {type_text(items[0])}"
    return f"list of {len(items)}: {', '.join(dict.fromkeys(map(type_text, items)))}"


def _bounds_text(metadata: tuple[Any, ...]) -> str:
    """`` from 0 to 1``: the narrowest of all bounds; nothing of those that nobody meets."""
    lows, highs = [(-_BEYOND, False)], [(_BEYOND, False)]
    for bounds, name, strict in ((lows, "ge", False), (lows, "gt", True), (highs, "le", False), (highs, "lt", True)):
        bounds += [(value, strict) for item in metadata if (value := getattr(item, name, None)) is not None]
    low, above = max(lows)
    high, below = min(highs, key=lambda bound: (bound[0], not bound[1]))
    words = [f"above {_number(low)}" if above else f"from {_number(low)}"] if low > -_BEYOND else []
    if high < _BEYOND:
        words += ["to"] if words or not below else []
        words += [f"below {_number(high)}" if below else _number(high)]
    return "".join(f" {word}" for word in words)


def _number(value: float) -> str:
    if abs(value) >= 1e6 and f"{value:g}".count("e"):
        return f"{value:g}".replace("e+0", "e").replace("e+", "e")
    return f"{value:,}".removesuffix(".0")


def yaml_text(value: Any) -> str:
    """A default as one writes it in YAML."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Settings):
        return yaml_text(value.model_dump(exclude_defaults=True))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {yaml_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(yaml_text, value))}]"
    return value if isinstance(value, str) and value.isprintable() and value else json.dumps(value)
