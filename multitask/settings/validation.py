"""Settings from plain data: what is wrong is one line that names the key, the rule and what was found."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from multitask.errors import UserError, nearest, quoted, shortened
from multitask.settings.schema import Settings
from multitask.settings.tables import field_type, item_type, unwrap
from multitask.utils.file_words import in_file_words

T = TypeVar("T", bound=Settings)

MAX_PLACES = 3
"""Keys of one name elsewhere that are pointed at; more, as of ``weight``, are no hint."""

MAX_LISTED = 10
"""Problems that are listed one by one; of more only the number is given."""


@dataclass(frozen=True)
class _Unknown:
    """A key, or a row's name, that the schema does not have."""

    where: str
    what: str
    word: str
    known: Collection[str]
    rows: tuple[str, ...] = ()
    """Of the same table, that have such a key."""

    def line(self, model: type[Settings]) -> str:
        """With where else such a key is, or the nearest right spelling, which takes longer to find than all the rest.

        Args:
            model: of the whole.
        """
        elsewhere = [path for path in _paths(model) if path.rpartition(".")[2] == self.word]
        if 0 < len(self.rows) <= MAX_PLACES:
            hint = f"; {' and '.join(map(repr, self.rows))} {'has' if len(self.rows) == 1 else 'have'} it"
        elif self.what.startswith("key") and 0 < len(elsewhere) <= MAX_PLACES:
            hint = f"; did you mean {' or '.join(map(repr, elsewhere))}?"
        else:
            hint = nearest(self.word, self.known)
        return f"{self.where}: unknown {self.what}{hint}"


def _paths(model: type[Settings], above: str = "") -> Iterator[str]:
    """Every key of sections within sections, as ``--set`` takes it; not those of variants."""
    for name, field in model.model_fields.items():
        path = f"{above}{field.alias or name}"
        yield path
        inner, table = unwrap(field_type(field))
        if table is None and isinstance(inner, type) and issubclass(inner, Settings):
            yield from _paths(inner, f"{path}.")


def _fields(model: type[Settings]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _check_keys(annotation: Any, value: object, path: str) -> Iterator[_Unknown]:
    """Every key of ``value`` that the schema does not have."""
    inner, table = unwrap(annotation)
    if table is not None:
        value = table.fill(value)
        if not isinstance(value, Mapping):
            return
        name = value[table.tag]
        if not isinstance(name, str) or name not in table:
            yield _Unknown(f"{path}.{table.tag}", f"{table.tag} {quoted(name)}", str(name), list(table))
            return
        inner = table[name]
    if isinstance(inner, type) and issubclass(inner, Settings) and isinstance(value, Mapping):
        fields = _fields(inner)
        for key, item in value.items():
            where = f"{path}.{key}" if path else str(key)
            if key in fields:
                yield from _check_keys(field_type(fields[key]), item, where)
            else:
                of = f" (of {value[table.tag]!r})" if table is not None else ""
                rows = tuple(name for name, row in (table or {}).items() if key in _fields(row))
                yield _Unknown(where, f"key{of}", str(key), fields, rows)
    elif get_origin(inner) is dict and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _check_keys(get_args(inner)[1], item, f"{path}.{key}")
    elif get_origin(inner) in (list, tuple) and isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _check_keys(item_type(inner, index), item, f"{path}.{index}")


def problems(model: type[Settings], data: Mapping[str, Any], folder: Path | None = None) -> list[str]:
    """What is wrong with ``data`` as settings of ``model``: one line a problem, none if all is right.

    Of more than ``MAX_LISTED`` the first, and then how many more there are.
    """
    lines, total = _problems(model, data, folder)
    return [*lines, f"and {total - len(lines):,} more"] if total > len(lines) else lines


def _problems(model: type[Settings], data: Mapping[str, Any], folder: Path | None) -> tuple[list[str], int]:
    """At most ``MAX_LISTED`` problems, and how many there are."""
    unknown = list(_check_keys(model, data, ""))
    if unknown:
        return [shortened(one.line(model)) for one in unknown[:MAX_LISTED]], len(unknown)
    try:
        model.model_validate(data, context={"folder": folder or Path.cwd()})
    except ValidationError as error:
        return _lines(model, data, error)
    return [], 0


def validate(model: type[T], data: Mapping[str, Any], folder: Path | None = None, listed_by: str = "") -> T:
    """Settings from plain data.

    Args:
        model: the settings.
        data: not yet checked.
        folder: that relative paths are relative to; None: the working folder.
        listed_by: the command that tells all problems, where there is one.

    Raises:
        UserError: a key is unknown, a type or value is wrong, or a combination is impossible. One line: the first
            problem, and how many more there are.
    """
    lines, total = _problems(model, data, folder)
    if lines:
        others = f"{total - 1:,} more problem" + ("s" if total > 2 else "")
        listed = f"; `{listed_by}` lists {'them' if total > 2 else 'it'}" if listed_by else ""
        raise UserError(lines[0] + (f" (and {others}{listed})" if total > 1 else ""))
    return model.model_validate(data, context={"folder": folder or Path.cwd()})


def _lines(model: type[Settings], data: object, error: ValidationError) -> tuple[list[str], int]:
    """Pydantic's errors as ``key: rule, found value``, one line for each key: the first, and how many there are."""
    rules: dict[str, list[str]] = {}
    found: dict[str, object] = {}
    items = error.errors(include_url=False)
    above = {item["loc"][:depth] for item in items for depth in range(len(item["loc"]))}
    for item in items:
        if item["type"] == "too_short" and item["loc"] in above:
            continue  # pydantic counts the items that are right: those that are wrong are named
        where, at = _locate(model, data, item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] in ("value_error", "missing"):
            key = message.partition(":")[0].partition(".")[0]
            if not where or message.startswith((f"{where}.", f"{where}:")):
                rules[message] = []
            elif isinstance(at, type) and issubclass(at, Settings) and key in at.model_fields:
                rules[f"{where}.{message}"] = []
            else:
                rules.setdefault(where, []).append(message)
        else:
            # A value that may be one thing or another gives an error for each: one line says them all.
            rules.setdefault(where, []).append(in_file_words(message))
            found[where] = item["input"]
    lines = []
    for where, rule in itertools.islice(rules.items(), MAX_LISTED):
        said = ", or ".join([*rule[:1], *(text.removeprefix("input should be ") for text in rule[1:])])
        value = f", found {quoted(found[where])}" if where in found else ""
        lines.append(shortened(f"{where}: {said}{value}" if rule else where))
    return lines, len(rules)


def _locate(model: type[Settings], data: object, steps: tuple[int | str, ...]) -> tuple[str, Any]:
    """Where pydantic found an error, as a dotted key, and what the schema has there.

    Pydantic's own steps also name members of unions and ``[key]``, which are no keys of the data; which row of a table
    it tried, only the data say.
    """
    path: list[str] = []
    annotation: Any = model
    for step in (step for step in steps if step != "[key]"):
        annotation = _settings_at(annotation, data)
        if isinstance(annotation, type) and issubclass(annotation, Settings):
            annotation = field_type(annotation.model_fields[str(step)]) if step in annotation.model_fields else None
        elif get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        elif get_origin(annotation) in (list, tuple) and isinstance(step, int):
            annotation = item_type(annotation, step)
        else:
            continue
        path.append(str(step))
        data = _item(data, step)
    return ".".join(path), _settings_at(annotation, data)


def _settings_at(annotation: Any, data: object) -> Any:
    """An annotation without what annotates it; in place of a table's base the row that the data name."""
    inner, table = unwrap(annotation)
    return inner if table is None else table.row(data) or inner


def _item(data: object, step: int | str) -> object:
    if isinstance(data, Mapping):
        return data.get(step)
    if isinstance(data, (list, tuple)) and isinstance(step, int) and step < len(data):
        return data[step]
    return getattr(data, str(step), None) if isinstance(data, Settings) else None
