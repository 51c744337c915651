"""A JSON schema of settings, which editors complete and check YAML with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from multitask.settings.keys import attribute_text, docstring
from multitask.settings.schema import Settings
from multitask.settings.tables import Table


class _Generator(GenerateJsonSchema):
    """Pydantic's, which knows neither our tables nor the docstrings of attributes."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """A section: its docstring and its keys', and no titles, which only repeat the keys."""
        cls = schema["cls"]
        found = super().model_schema(schema)
        del found["title"]
        found["description"] = docstring(cls)
        for name, key in found.get("properties", {}).items():
            key.pop("title", None)
            if text := attribute_text(cls, name):
                key["description"] = text
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


def json_schema(model: type[Settings], others: Mapping[str, type[Settings]] | None = None) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of the files that ``model`` is read from.

    What only the whole of a file shows, as that two settings exclude each other, is not in it.

    Args:
        model: of a file that has none of the keys of ``others``.
        others: key -> the model of a file that has this key and none before it.
    """
    models = [*(others or {}).values(), model]
    refs, schema = models_json_schema([(one, "validation") for one in models], schema_generator=_Generator)
    found: dict[str, Any] = refs[model, "validation"]
    for key, other in reversed(list((others or {}).items())):
        found = {"if": {"required": [key]}, "then": refs[other, "validation"], "else": found}
    return {"$schema": _Generator.schema_dialect, **found, **schema}
