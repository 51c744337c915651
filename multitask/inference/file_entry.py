"""The entries of an exported file: settings with a version, each a line of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

from multitask.errors import UserError
from multitask.settings import Settings, validate

S = TypeVar("S", bound=Settings)


def read_entry(schema: type[S], text: str, where: str, what: str, check: Callable[[S], None] | None = None) -> S:
    """An entry of a file.

    Args:
        schema: what it holds, with a ``version`` whose default is the only one that can be read.
        text: the line.
        where: the file, for errors.
        what: what the entry is, likewise: its ``specification``.
        check: of the whole; a ValueError means that the file is damaged.

    Raises:
        UserError: it is damaged, of another version, or contradicts itself.
    """
    try:
        data = json.loads(text)
        version = data.get("version") if isinstance(data, dict) else None
        known = schema.model_fields["version"].default
        if version != known:
            raise UserError(f"is of version {version!r}, and this program reads {known}; export the run again")
        entry = validate(schema, data)
        if check is not None:
            check(entry)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: its {what} is damaged: {error}") from None
    return entry
