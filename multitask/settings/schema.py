"""What every section of a config is made of: strict settings, variants told apart by name, and errors in one line."""

from __future__ import annotations

import itertools
import os
import types
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, ValidationError, ValidationInfo
from pydantic.fields import FieldInfo

from multitask.errors import UserError, nearest, quoted, shortened
from multitask.settings.yaml_text import MAX_DEPTH, parse_yaml

# Every number has a lower and an upper bound: what is beyond can only be a mistake, and is said before it fills a disk.
Int = Annotated[int, Strict(), Field(ge=-(2**63), le=2**63 - 1)]
Float = Annotated[float, Strict(), Field(ge=-1e18, le=1e18, allow_inf_nan=False)]
Bool = Annotated[bool, Strict()]
PositiveInt = Annotated[Int, Field(ge=1, le=10**9)]
Count = Annotated[Int, Field(ge=0, le=10**9)]
PositiveFloat = Annotated[Float, Field(gt=0, le=1e12)]
NonNegativeFloat = Annotated[Float, Field(ge=0, le=1e12)]
Fraction = Annotated[Float, Field(ge=0, le=1)]
Seed = Annotated[Int, Field(ge=0, le=2**63 - 1)]
MOST_FOLDS = 1000
Folds = Annotated[Int, Field(ge=2, le=MOST_FOLDS)]
Workers = Annotated[Int, Field(ge=1, le=256)]
"""Processes."""
Epochs = Annotated[Int, Field(ge=1, le=100_000)]
Width = Annotated[Int, Field(ge=1, le=65_536)]
"""Of a layer."""
Trials = Annotated[Int, Field(ge=1, le=1_000_000)]


MAX_LISTED = 10
"""Problems that are listed one by one; of more only the number is told."""


class Settings(BaseModel):
    """A section of the config: unknown keys forbidden, immutable, defaults checked too."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


T = TypeVar("T", bound=Settings)


class Located(str):
    """A string from elsewhere than the config's file: a relative path in it is relative to ``folder``."""

    folder: Path

    def __new__(cls, text: str, folder: Path) -> Located:
        """``text``, found in ``folder``."""
        located = super().__new__(cls, text)
        located.folder = folder
        return located

    def __getnewargs__(self) -> tuple[str, Path]:  # type: ignore[override]
        """For a copy, and for another process."""
        return str(self), self.folder


def located(value: Any, folder: Path) -> Any:
    """Plain data with every string in it marked as found in ``folder``."""
    if isinstance(value, str):
        return value if isinstance(value, Located) else Located(value, folder)
    if isinstance(value, list):
        return [located(item, folder) for item in value]
    if isinstance(value, dict):
        return {key: located(item, folder) for key, item in value.items()}
    return value


def resolve_path(value: object, info: ValidationInfo) -> object:
    """A path made absolute; anything that is no string is left for the type check to refuse."""
    if not isinstance(value, str) or not value:
        return value
    folder = value.folder if isinstance(value, Located) else (info.context or {}).get("folder", Path.cwd())
    # Unlike Path's, this leaves the home of nobody as it stands, for the check of the file to name.
    return str((folder / os.path.expanduser(value)).resolve())


ConfigPath = Annotated[str, Field(min_length=1), BeforeValidator(resolve_path)]
"""A path in a config file is relative to that file's folder; one in ``--set`` to the working directory."""


class Variants:
    """Marks a union of settings that are told apart by one key, and says which is meant where the key is absent."""

    def __init__(self, default: str, tag: str = "name") -> None:
        self.default = default
        self.tag = tag

    def fill(self, value: object) -> object:
        """``value`` with the key that tells the variants apart."""
        if isinstance(value, str):  # ``loss: focal`` is short for ``loss: {name: focal}``
            return {self.tag: value}
        if isinstance(value, Mapping) and self.tag not in value:
            return {self.tag: self.default, **value}
        return value


def variants(default: str, tag: str = "name") -> Any:
    """Metadata that turns ``Annotated[A | B, *variants("a")]`` into a union told apart by ``tag``."""
    marker = Variants(default, tag)
    return Field(discriminator=tag), BeforeValidator(marker.fill), marker


# --- walking a schema -------------------------------------------------------------------------------------------


def _unwrap(annotation: Any) -> tuple[Any, Variants | None]:
    """An annotation without ``Annotated`` and ``| None``, and the mark of a union of variants if it has one."""
    marker = None
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            inner, *metadata = get_args(annotation)
            marker = next((item for item in metadata if isinstance(item, Variants)), marker)
            annotation = inner
        elif origin in (Union, types.UnionType):
            members = [member for member in get_args(annotation) if member is not type(None)]
            if len(members) != 1:
                return annotation, marker
            annotation = members[0]
        else:
            return annotation, marker


def variant_classes(annotation: Any) -> dict[str, type[Settings]]:
    """The rows of a union of variants: name -> settings class."""
    union, marker = _unwrap(annotation)
    assert marker is not None, f"{annotation} is no union of variants"
    return {cls.model_fields[marker.tag].default: cls for cls in get_args(union) or (union,)}


def _field_type(field: FieldInfo) -> Any:
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _item_type(annotation: Any, index: int) -> Any:
    """What the item of a list or tuple must be; the last one's type where there are too many items."""
    types_ = [item for item in get_args(annotation) if item is not Ellipsis]
    return types_[min(index, len(types_) - 1)]


@dataclass(frozen=True)
class _Unknown:
    """A key, or a variant's name, that the schema does not have."""

    where: str
    what: str
    word: str
    known: Collection[str]

    def line(self) -> str:
        """With the nearest right spelling, which takes longer to find than all the rest."""
        return f"{self.where}: unknown {self.what}{nearest(self.word, self.known)}"


def _check_keys(annotation: Any, value: object, path: str) -> Iterator[_Unknown]:
    """Every key of ``value`` that the schema does not have."""
    inner, marker = _unwrap(annotation)
    if marker is not None:
        value = marker.fill(value)
        if not isinstance(value, Mapping):
            return
        rows = variant_classes(annotation)
        name = value[marker.tag]
        if not isinstance(name, str) or name not in rows:
            yield _Unknown(f"{path}.{marker.tag}", f"{marker.tag} {quoted(name)}", str(name), rows)
            return
        inner = rows[name]
    if isinstance(inner, type) and issubclass(inner, Settings) and isinstance(value, Mapping):
        fields = {field.alias or name: field for name, field in inner.model_fields.items()}
        for key, item in value.items():
            where = f"{path}.{key}" if path else str(key)
            if key in fields:
                yield from _check_keys(_field_type(fields[key]), item, where)
            else:
                of = f" (of {value[marker.tag]!r})" if marker else ""
                yield _Unknown(where, f"key{of}", str(key), fields)
    elif get_origin(inner) is dict and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _check_keys(get_args(inner)[1], item, f"{path}.{key}")
    elif get_origin(inner) in (list, tuple) and isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _check_keys(_item_type(inner, index), item, f"{path}.{index}")


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
        return [shortened(one.line()) for one in unknown[:MAX_LISTED]], len(unknown)
    try:
        model.model_validate(data, context={"folder": folder or Path.cwd()})
    except ValidationError as error:
        return _lines(model, error)
    return [], 0


def validate(model: type[T], data: Mapping[str, Any], folder: Path | None = None) -> T:
    """Settings from plain data.

    Raises:
        UserError: a key is unknown, a type or value is wrong, or a combination is impossible. One line: the first
            problem, and how many more there are.
    """
    lines, total = _problems(model, data, folder)
    if lines:
        more = f" (and {total - 1:,} more; `multitask config` lists them)" if total > 1 else ""
        raise UserError(lines[0] + more)
    return model.model_validate(data, context={"folder": folder or Path.cwd()})


def _lines(model: type[Settings], error: ValidationError) -> tuple[list[str], int]:
    """Pydantic's errors as ``key: rule, found value``, one line for each key: the first, and how many there are."""
    rules: dict[str, list[str]] = {}
    found: dict[str, object] = {}
    items = error.errors(include_url=False)
    above = {item["loc"][:depth] for item in items for depth in range(len(item["loc"]))}
    for item in items:
        if item["type"] == "too_short" and item["loc"] in above:
            continue  # pydantic counts the items that are right: those that are wrong are named
        where, at = _locate(model, item["loc"])
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
            rules.setdefault(where, []).append(message[0].lower() + message[1:])
            found[where] = item["input"]
    lines = []
    for where, rule in itertools.islice(rules.items(), MAX_LISTED):
        said = ", or ".join([*rule[:1], *(text.removeprefix("input should be ") for text in rule[1:])])
        value = f", found {quoted(found[where])}" if where in found else ""
        lines.append(shortened(f"{where}: {said}{value}" if rule else where))
    return lines, len(rules)


def _locate(model: type[Settings], steps: tuple[int | str, ...]) -> tuple[str, Any]:
    """Where pydantic found an error, as a dotted key, and what the schema has there.

    Pydantic's own steps also name variants, members of unions and ``[key]``, which are no keys of the data.
    """
    path: list[str] = []
    annotation: Any = model
    for step in (step for step in steps if step != "[key]"):
        annotation, marker = _unwrap(annotation)
        if marker is not None:
            rows = variant_classes(Annotated[annotation, marker])
            if step in rows:
                annotation = rows[str(step)]
                continue
        if isinstance(annotation, type) and issubclass(annotation, Settings):
            path.append(str(step))
            annotation = _field_type(annotation.model_fields[str(step)]) if step in annotation.model_fields else None
        elif get_origin(annotation) is dict:
            path.append(str(step))
            annotation = get_args(annotation)[1]
        elif get_origin(annotation) in (list, tuple) and isinstance(step, int):
            path.append(str(step))
            annotation = _item_type(annotation, step)
    return ".".join(path), _unwrap(annotation)[0]


# --- overrides --------------------------------------------------------------------------------------------------------


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
    for key, value in sorted(changes.items(), key=lambda change: (change[0].count("."), not _names_variant(change[0]))):
        result = _set(model, result, key.split("."), value, key)
    return result


def _names_variant(key: str) -> bool:
    return key.rpartition(".")[2] in ("name", "kind")


def _set(annotation: Any, data: Any, path: list[str], value: Any, key: str) -> Any:
    inner, marker = _unwrap(annotation)
    if marker is not None:
        data = marker.fill(data if data is not None else {})
        if path == [marker.tag]:
            same = isinstance(data, Mapping) and data[marker.tag] == value
            return data if same else {marker.tag: value}
        inner = variant_classes(annotation).get(str(data.get(marker.tag))) if isinstance(data, Mapping) else None
    if data is None:
        data = {}
    if not isinstance(data, Mapping):
        raise UserError(f"{key}: leads through a value that is no section, found {quoted(data)}")
    head, *rest = path
    if not rest:
        return {**data, head: value}
    below: Any = None
    if isinstance(inner, type) and issubclass(inner, Settings) and head in inner.model_fields:
        below = _field_type(inner.model_fields[head])
    elif get_origin(inner) is dict:
        below = get_args(inner)[1]
    return {**data, head: _set(below, data.get(head), rest, value, key)}


def flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections as dotted key -> value."""
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
