"""The kinds of settings files: run configs, studies, bake-offs and recipes are all YAML, each for its own command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from multitask.config.config import Config
from multitask.errors import UserError
from multitask.settings import Settings, parse_override


class FileKind(NamedTuple):
    """A kind of settings file.

    Attributes:
        key: that tells it from the others.
        name: what it is, in a sentence.
        command: that reads it.
    """

    key: str
    name: str
    command: str


CONFIG = FileKind("labels", "a run config", "train")
STUDY = FileKind("space", "a study", "study")
BAKEOFF = FileKind("contenders", "a bake-off", "bakeoff")
RECIPE = FileKind("stages", "a recipe", "recipe")


def check_kind(path: Path, data: Mapping[str, Any], *wanted: FileKind) -> None:
    """Refuses a file that is of another kind, before each of its keys is called unknown.

    Args:
        path: the file, for the error.
        data: its content.
        wanted: the kinds that are read here.

    Raises:
        UserError: it has the key of another kind, and of none that is wanted.
    """
    if any(kind.key in data for kind in wanted):
        return
    for kind in (STUDY, BAKEOFF, RECIPE, CONFIG):
        if kind.key in data:
            raise UserError(f"{path}: is {kind.name}, as it has {kind.key}; use `multitask {kind.command}`")


def check_overrides(overrides: Iterable[str], own: type[Settings], kind: FileKind) -> None:
    """Refuses ``--set`` of the keys of a file itself: it changes the base config, which would call them unknown.

    Args:
        overrides: ``key=value``.
        own: the file's settings.
        kind: of the file.

    Raises:
        UserError: one names a key that the file has, and no run config.
    """
    for key, _ in map(parse_override, overrides):
        section = key.partition(".")[0]
        if section in own.model_fields.keys() - Config.model_fields.keys():
            raise UserError(
                f"--set {key}: changes the config that is trained; {section} is a key of {kind.name}, to be changed in "
                f"its file or by an option of `multitask {kind.command}`"
            )
