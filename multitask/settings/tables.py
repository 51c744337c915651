"""Open tables: the settings classes that may stand at a key, told apart by a name, and added to by whoever has more."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from copy import copy
from typing import Annotated, Any, ClassVar, Generic, TypeVar, Union, get_args, get_origin

from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic_core import PydanticKnownError, core_schema

from multitask.errors import UserError, nearest, quoted
from multitask.settings.schema import Settings

S = TypeVar("S", bound=Settings)


class Table(MutableMapping[str, type[S]], Generic[S]):
    """Name -> settings class. ``Annotated[Base, TABLE]`` is the type of a key at which any of its rows may stand.

    The rows are looked up when a value is checked, so that one that is added later counts everywhere at once::

        LOSSES["mine"] = MyLossSettings

    Args:
        word: what a row is, for errors.
        base: what every row must be a subclass of.
        default: the row that is meant where a section does not say which.
        tag: the key that tells the rows apart.
    """

    _every: ClassVar[list[Table[Any]]] = []

    __hash__ = object.__hash__  # A table is itself, whatever is in it: types are compared by what annotates them.

    def __init__(self, word: str, base: type[Settings], *, default: str, tag: str = "name") -> None:
        self.word = word
        self.base = base
        self.default = default
        self.tag = tag
        self._rows: dict[str, type[S]] = {}
        self._every.append(self)
        self._where: Callable[[type[S]], bool] = lambda row: True

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return f"<table of {self.base.__name__}: {', '.join(self)}>"

    def __getitem__(self, name: str) -> type[S]:
        row = self._rows[name]
        if not self._where(row):
            raise KeyError(name)
        return row

    def __iter__(self) -> Iterator[str]:
        return (name for name, row in self._rows.items() if self._where(row))

    def __len__(self) -> int:
        return sum(map(self._where, self._rows.values()))

    def __delitem__(self, name: str) -> None:
        del self._rows[name]

    def __setitem__(self, name: str, row: type[S]) -> None:
        """Adds a row.

        Raises:
            UserError: it is no settings class of the table, lacks a method, says another name, or another class has it.
        """
        where = f"{self.word} {quoted(name)}"
        if not (isinstance(row, type) and issubclass(row, self.base)):
            raise UserError(f"{where}: must be a subclass of {self.base.__name__}, found {quoted(row)}")
        if missing := sorted(row.__abstractmethods__):
            raise UserError(f"{where}: {row.__name__} lacks {', '.join(missing)}")
        if (own := self._name_of(row)) != name:
            how = f'{self.tag}: Literal["{name}"] = "{name}"'
            raise UserError(f"{where}: {row.__name__} must say its name, as in {how}; found {quoted(own)}")
        known = self._rows.setdefault(name, row)
        if known is not row:
            raise UserError(
                f"{where}: is registered twice, as {_full_name(known)} and as {_full_name(row)}; name one of them anew"
            )

    def register(self, *rows: type[S]) -> None:
        """Adds rows under the names that they have.

        Raises:
            UserError: as when one is added by its name.
        """
        for row in rows:
            self[self._name_of(row) or row.__name__] = row

    def part(self, where: Callable[[type[S]], bool], default: str | None = None) -> Table[S]:
        """The same table, seen without the rows that do not fit.

        Args:
            where: whether a row does.
            default: the row that is meant here where a section does not say which; None: the table's own.
        """
        part = copy(self)  # of which the rows stay the same object
        part.default = default or self.default
        part._where = where
        return part

    def fill(self, value: object) -> object:
        """``value`` with the key that tells the rows apart."""
        if isinstance(value, str):  # ``loss: focal`` is short for ``loss: {name: focal}``
            return {self.tag: value}
        if isinstance(value, Mapping) and self.tag not in value:
            return {self.tag: self.default, **value}
        return value

    def row(self, value: object) -> type[S] | None:
        """The row that a section, or settings, would be of; None: there is none."""
        name = self._told(self.fill(value))
        return self.get(name) if isinstance(name, str) else None

    def _told(self, value: object) -> object:
        return value.get(self.tag) if isinstance(value, Mapping) else getattr(value, self.tag, None)

    def _name_of(self, row: type[S]) -> str | None:
        """The name that a row's settings have unless told otherwise."""
        field = row.model_fields.get(self.tag) if isinstance(row, type) and issubclass(row, Settings) else None
        return field.default if field is not None and isinstance(field.default, str) else None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        # What it gives is written by its own class, which is what pydantic does with settings that it has no schema of.
        return core_schema.with_info_plain_validator_function(self._validate)

    def _validate(self, value: object, info: ValidationInfo) -> S:
        row = self.row(value)
        if row is None:
            name = self._told(self.fill(value))
            if not isinstance(name, str):
                raise PydanticKnownError("model_attributes_type")
            raise ValueError(f"unknown {self.tag} {quoted(name)}{nearest(name, self)}")
        # The errors of its keys pass through pydantic as they are, each with its place.
        return row.model_validate(self.fill(value), context=info.context)


def tables_saved() -> Callable[[], None]:
    """What gives all tables the rows again that they have now."""
    before = [(table._rows, dict(table._rows)) for table in Table._every]

    def restore() -> None:
        for rows, old in before:
            rows.clear()
            rows.update(old)

    return restore


def _full_name(row: type) -> str:
    return f"{row.__module__}.{row.__qualname__}"


# --- walking a schema -------------------------------------------------------------------------------------------------


def unwrap(annotation: Any) -> tuple[Any, Table[Any] | None]:
    """An annotation without ``Annotated`` and ``| None``, and the table that it names if it does."""
    table = None
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            inner, *metadata = get_args(annotation)
            table = next((item for item in metadata if isinstance(item, Table)), table)
            annotation = inner
        elif origin in (Union, types.UnionType):
            members = [member for member in get_args(annotation) if member is not type(None)]
            if len(members) != 1:
                return annotation, table
            annotation = members[0]
        else:
            return annotation, table


def field_type(field: FieldInfo) -> Any:
    """A key's annotation, with what annotates it."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def item_type(annotation: Any, index: int) -> Any:
    """What the item of a list or tuple must be; the last one's type where there are too many items."""
    types_ = [item for item in get_args(annotation) if item is not Ellipsis]
    return types_[min(index, len(types_) - 1)]
