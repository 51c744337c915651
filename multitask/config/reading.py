"""A config read from a file, with overrides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from multitask.config.config import Config
from multitask.config.file_kinds import CONFIG, check_kind
from multitask.settings import Changes, expand, load_extensions, named_extensions, override, parse_override, validate
from multitask.settings.yaml_text import read_yaml

_OTHERWISE = ", or --set {path}=..."


def read_config(
    path: Path,
    overrides: Iterable[str] = (),
    changes: Mapping[str, Any] | None = None,
    *,
    allow_extensions: bool = False,
) -> tuple[dict[str, Any], Path]:
    """A config file's data with overrides, not yet checked, and the folder its paths are relative to.

    Args:
        path: the file.
        overrides: ``key=value``, as from ``--set``.
        changes: dotted key -> value; ``overrides`` go before them.
        allow_extensions: whether the code that the config names may run; what it adds to the tables is then there.

    Raises:
        UserError: the file cannot be read, or an override is malformed.
        ExtensionError: the config names code that is not allowed, is not there, or fails.
    """
    given: Changes = {**(changes or {}), **dict(parse_override(text) for text in overrides)}
    written, folder = read_yaml(path), path.parent.resolve()
    check_kind(path, written, CONFIG)
    # Before the overrides, which look up what the keys of a row are.
    named = expand({"extensions": {**written, **given}.get("extensions", ())}, otherwise=_OTHERWISE)
    load_extensions(named_extensions(named, folder), str(path), allow_extensions)
    return expand(override(Config, written, given), otherwise=_OTHERWISE), folder


def load_config(
    path: Path,
    overrides: Iterable[str] = (),
    changes: Mapping[str, Any] | None = None,
    *,
    allow_extensions: bool = False,
) -> Config:
    """A config file with overrides, as in ``read_config``.

    Raises:
        UserError: as one line; the file's name where the file is at fault, the key where a setting is.
    """
    data, folder = read_config(path, overrides, changes, allow_extensions=allow_extensions)
    return validate(Config, data, folder, "multitask config")


def stored_config(data: Mapping[str, Any], where: Path, *, allow_extensions: bool = False) -> Config:
    """A config as a file that a program wrote holds it: every path in it is absolute.

    Args:
        data: the config.
        where: the file, for errors.
        allow_extensions: whether the code that the config names may run.

    Raises:
        UserError: a setting is wrong.
        ExtensionError: as in ``read_config``.
    """
    load_extensions(named_extensions(data), str(where), allow_extensions)
    return validate(Config, data)
