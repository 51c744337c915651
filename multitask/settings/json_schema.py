"""A JSON schema of settings, which editors complete and check YAML with."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from multitask.settings.keys import attribute_text, docstring
from multitask.settings.markdown import markdown
from multitask.settings.schema import Settings
from multitask.settings.tables import Table

_REFERENCE = "#/$defs/"


class _Generator(GenerateJsonSchema):
    """Pydantic's, which knows neither our tables nor the docstrings of attributes."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """A section: its docstring and its keys', and no titles, which only repeat the keys."""
        cls = schema["cls"]
        found = super().model_schema(schema)
        del found["title"]
        found.update(_description(docstring(cls)))
        for name, key in found.get("properties", {}).items():
            key.pop("title", None)
            if text := attribute_text(cls, name):
                key.update(_description(text))
        return found

    def function_plain_schema(self, schema: core_schema.PlainValidatorFunctionSchema) -> JsonSchemaValue:
        """A table: the name of a row alone, or a section whose row the key of the tag tells."""
        table = getattr(schema["function"]["function"], "__self__", None)
        return self._table_schema(table) if isinstance(table, Table) else super().function_plain_schema(schema)

    def _table_schema(self, table: Table[Any]) -> JsonSchemaValue:
        rows = [
            {
                "if": {"required": [table.tag], "properties": {table.tag: {"const": name}}},
                "then": self.generate_inner(row.__pydantic_core_schema__),
            }
            for name, row in table.items()
        ]
        default = {"if": {"not": {"required": [table.tag]}}, "then": rows[list(table).index(table.default)]["then"]}
        return {
            "if": {"type": "object"},
            "then": {
                "properties": {table.tag: {"enum": list(table), "default": table.default}},
                "allOf": [*rows, default],
            },
            "else": {"enum": list(table)},
        }

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """A section that may be left out has no default of its own: its keys have theirs."""
        if isinstance(schema.get("default"), Settings):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def _description(text: str) -> dict[str, str]:
    """What editors show; ``markdownDescription`` is no keyword of the draft, but VS Code's."""
    return {"description": re.sub(r"\bNone\b", "null", text.replace("``", "")), "markdownDescription": markdown(text)}


def json_schema(model: type[Settings], others: Mapping[str, type[Settings]] | None = None) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of the files that ``model`` is read from.

    What only the whole of a file shows, as that two settings exclude each other, is not in it.

    Args:
        model: of a file that has none of the keys of ``others``.
        others: key -> the model of a file that has this key and none before it.
    """
    models = {one: one.__name__.removesuffix("Settings").lower() for one in (model, *(others or {}).values())}
    refs, schema = models_json_schema([(one, "validation") for one in models], schema_generator=_Generator)
    found: dict[str, Any] = refs[model, "validation"]
    for key, other in reversed(list((others or {}).items())):
        found = {"if": {"required": [key]}, "then": refs[other, "validation"], "else": found}
    names = _names_by_section(schema["$defs"], {word: refs[one, "validation"] for one, word in models.items()})
    definitions = {names[key]: schema["$defs"][key] for key in sorted(names, key=names.__getitem__)}
    renamed: dict[str, Any] = _renamed({**found, "$defs": definitions}, names)
    return {"$schema": _Generator.schema_dialect, **renamed}


def _names_by_section(definitions: Mapping[str, Any], files: Mapping[str, Any]) -> dict[str, str]:
    """The names of definitions by where they stand in a file, as ``data.source.table``.

    Editors show them; pydantic's are of classes, and of modules where two classes are called alike.

    Args:
        definitions: by pydantic's names.
        files: the name of each file and its schema; the name of the first does not begin those of its sections.
    """
    names: dict[str, str] = {}
    for number, (file, schema) in enumerate(files.items()):
        names[_target(schema)] = file
        prefix: tuple[str, ...] = (file,) if number else ()
        places = deque([(definitions[_target(schema)], prefix)])
        while places:  # the outermost first: what stands in several places is called by the first of them
            node, path = places.popleft()
            places.extend(_parts(node, path))
            if "$ref" in node and (target := _target(node)) not in names:
                names[target] = ".".join(path)
                places.append((definitions[target], path))
    return names


def _parts(node: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """The schemas in a schema, each with its keys from the top of the file, a row's name behind its table's."""
    for key, value in node.get("properties", {}).items():
        yield value, (*path, key)
    row = [tag["const"] for tag in node.get("if", {}).get("properties", {}).values() if "const" in tag]
    for key in ("then", "else", "items", "additionalProperties"):
        if isinstance(value := node.get(key), dict):
            yield value, (*path, *row)
    for key in ("allOf", "anyOf", "prefixItems"):
        for value in node.get(key, ()):
            yield value, path


def _target(node: Mapping[str, Any]) -> str:
    return str(node["$ref"]).removeprefix(_REFERENCE)


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    """A schema with the definitions that it refers to renamed."""
    if isinstance(node, dict):
        return {
            key: f"{_REFERENCE}{names[_target(node)]}" if key == "$ref" else _renamed(value, names)
            for key, value in node.items()
        }
    return [_renamed(value, names) for value in node] if isinstance(node, list) else node
