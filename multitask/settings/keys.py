"""Every key of a schema, with its type, bounds, default and text: what ``multitask config --keys`` prints."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from multitask.settings.key_types import type_text, yaml_text
from multitask.settings.schema import Settings
from multitask.settings.tables import Table, field_type, unwrap


@dataclass(frozen=True)
class Key:
    """One key.

    Attributes:
        path: dotted; a part in angle brackets is a name that the user gives, as in ``heads.<head>.weight``.
        type: what may stand there, with bounds.
        default: as YAML; None: the key must be given.
        text: its docstring.
        section: the path of the section that describes what stands there; "": none does.
        rows: those rows of the section's table that have the key; empty: all have it, or there is no table.
    """

    path: str
    type: str
    default: str | None
    text: str
    section: str = ""
    rows: tuple[str, ...] = ()


@dataclass
class Section:
    """The keys of one section.

    Attributes:
        path: dotted; "" for the top level.
        text: its docstring; "" where there is a table, whose rows have one each.
        tag: the key that says which row of a table it is; "": there is no table.
        default: the row where a section does not say which.
        rows: the table: name -> docstring.
        keys: of all rows, in the order of their declaration.
    """

    path: str
    text: str
    tag: str = ""
    default: str = ""
    rows: dict[str, str] = field(default_factory=dict)
    keys: list[Key] = field(default_factory=list)


def sections_of(model: type[Settings]) -> list[Section]:
    """The sections of a schema, each before those within it.

    What may stand at several keys is described where it stands first.
    """
    walk = _Walk()
    walk.describe("", model)
    return walk.sections


Annotations = dict[str, Any]
"""The path of a section -> the annotation of what may stand there, which Python has no type for."""


class _Walk:
    """A walk through a schema.

    Attributes:
        sections: those that were described.
        places: settings class -> the path of the section that describes it, or is about to.
        tables: such a path -> the table there.
    """

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self.places: dict[type[Settings], str] = {}
        self.tables: dict[str, Table[Any]] = {}

    def describe(self, path: str, annotation: Any) -> None:
        """Describes the section at ``path``, and then those within it."""
        inner, table = unwrap(annotation)
        if table is None:
            rows: Mapping[str, type[Settings]] = {"": inner}
            section = Section(path, docstring(inner))
        else:
            rows = table
            section = Section(path, "", table.tag, table.default, {name: docstring(row) for name, row in rows.items()})
        self.sections.append(section)
        within: Annotations = {}
        section.keys = list(self._keys(path, rows, section.tag, within))
        for place, inside in within.items():
            self.describe(place, inside)

    def _keys(self, path: str, rows: Mapping[str, type[Settings]], tag: str, within: Annotations) -> Iterator[Key]:
        """The keys of all rows, one that several have alike given once; what they lead to is put into ``within``."""
        found: dict[Key, list[str]] = {}
        for name, row in rows.items():
            for key, info in row.model_fields.items():
                if key != tag:
                    made = self._key(f"{path}.{key}".lstrip("."), info, attribute_text(row, key), within)
                    found.setdefault(made, []).append(name)
        for made, names in found.items():
            yield made if len(names) == len(rows) else replace(made, rows=tuple(names))

    def _key(self, path: str, info: FieldInfo, text: str, within: Annotations) -> Key:
        annotation = field_type(info)
        value = None if info.is_required() else info.get_default(call_default_factory=True)
        default = None if info.is_required() else yaml_text(value)
        place, inside = _section_in(path, annotation)
        if inside is None:
            return Key(path, type_text(annotation), default, text)
        _, table = unwrap(inside)
        if isinstance(value, Settings) and default == "{}":  # nothing but its own defaults
            default = "" if table is None else getattr(value, table.tag)
        section = self._section_of(place, inside, within)
        what = "section" if table is None else self._variant_text(table, self.tables[section])
        return Key(path, what if place == path else f"names, each with a {what}", default, text, section)

    def _section_of(self, place: str, annotation: Any, within: Annotations) -> str:
        """The path of the section that describes all that may stand at ``place``: ``place``, or an earlier one."""
        inner, table = unwrap(annotation)
        rows = [inner] if table is None else list(table.values())
        places = {self.places.get(row) for row in rows}
        if len(places) == 1 and (known := places.pop()) is not None:
            return known
        within[place] = annotation
        for row in rows:
            self.places.setdefault(row, place)
        if table is not None:
            self.tables[place] = table
        return place

    @staticmethod
    def _variant_text(table: Table[Any], described: Table[Any]) -> str:
        """What may stand where a table is, or a part of the one that is described."""
        left_out = [f"`{name}`" for name in described if name not in table]
        text = f"variant, not {', '.join(left_out)}" if left_out else "variant"
        return text + (
            f"; `{table.default}` where it has no `{table.tag}`" if table.default != described.default else ""
        )


def _section_in(path: str, annotation: Any) -> tuple[str, Any]:
    """Where within a key's value there is a section, and what it is; None: there is none."""
    inner, table = unwrap(annotation)
    if get_origin(inner) is dict:
        name = path.rpartition(".")[2].removesuffix("s")
        return _section_in(f"{path}.<{name}>", get_args(inner)[1])
    is_section = table is not None or (isinstance(inner, type) and issubclass(inner, Settings))
    return path, annotation if is_section else None


# --- docstrings -------------------------------------------------------------------------------------------------------


def docstring(cls: type) -> str:
    """What a class is, without what is for programmers: examples, sections such as "Attributes", names of classes."""
    text = re.sub(r" \(``[A-Z]\w+``\)", "", inspect.cleandoc(cls.__doc__ or ""))
    return re.split(r"^(?:>>>|\w+:$)", text, maxsplit=1, flags=re.MULTILINE)[0].strip()


def attribute_text(cls: type, name: str) -> str:
    """The docstring of an attribute, of the class or of the nearest base that has one; "": there is none."""
    texts = (_attribute_texts(base.__module__).get((base.__qualname__, name), "") for base in cls.__mro__)
    return next(filter(None, texts), "")


@lru_cache
def _attribute_texts(module: str) -> dict[tuple[str, str], str]:
    """(class, attribute) -> the string below the attribute; Python itself keeps no such strings."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError, KeyError):  # of a module that has no file
        return {}
    return {
        (node.name, attribute.target.id): inspect.cleandoc(str(below.value.value))
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for attribute, below in pairwise(node.body)
        if isinstance(attribute, ast.AnnAssign) and isinstance(attribute.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
    }
