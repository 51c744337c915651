"""Environment variables in YAML files."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from multitask.errors import UserError
from multitask.settings.schema import Located

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def expand(value: Any, path: str = "", *, leave: Collection[str] = (), otherwise: str = "") -> Any:
    """Plain data with ``${NAME}`` and ``${NAME:-default}`` in its strings replaced from the environment.

    A string in which a variable was found is ``Located`` in the working directory, as one from the command line.

    Args:
        value: the data.
        path: its dotted key, for errors.
        leave: keys, at any depth, whose values whoever reads them expands.
        otherwise: what a user may do but set a variable, with the key as ``{path}``, for errors.

    Raises:
        UserError: a variable without a default is not set, or is empty.

    >>> expand({"root": "${NOT_SET_ANYWHERE:-images}"})
    {'root': 'images'}
    """
    if isinstance(value, dict):
        found = {}
        for key, item in value.items():
            at = f"{path}.{key}" if path else str(key)
            found[key] = item if key in leave else expand(item, at, leave=leave, otherwise=otherwise)
        return found
    if isinstance(value, list):
        return [expand(item, path, leave=leave, otherwise=otherwise) for item in value]
    if not isinstance(value, str):
        return value
    used = False

    def replace(match: re.Match[str]) -> str:
        nonlocal used
        name, default = match.groups()
        if os.environ.get(name):
            used = True
            return os.environ[name]
        if default is None:
            raise UserError(f"{path}: the environment variable {name} is not set; set it{otherwise.format(path=path)}")
        return default

    expanded = _VARIABLE.sub(replace, value)
    folder = Path.cwd() if used else getattr(value, "folder", None)
    return expanded if folder is None else Located(expanded, folder)
