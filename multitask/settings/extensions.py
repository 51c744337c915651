"""Extensions: files of a user's own code that a config names, imported once and only where the user allows it."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from multitask.errors import UserError
from multitask.settings.schema import ConfigPath, Settings
from multitask.settings.tables import tables_saved
from multitask.settings.validation import validate

KEY = "extensions"
ALLOW = "--allow-extensions"

_loaded: dict[str, ModuleType] = {}
"""By resolved path. What is here has run already, so that to name it once more needs no permission."""


def note_own_code(error: Exception) -> None:
    """Adds to an error that is none of the user's settings' what may be wrong, where files of code were imported."""
    if _loaded:
        files = ", ".join(os.path.basename(path) for path in _loaded)
        error.add_note(
            f"note: rows of {files} were in use; multitask.testing has a check of each kind, as check_head and "
            "check_loss, which says in words what one does not keep"
        )


class ExtensionError(UserError):
    """An extension is not allowed, is not there, or fails; the line names the config and the file."""


class _Named(Settings):
    extensions: tuple[ConfigPath, ...] = ()


def named_extensions(data: Mapping[str, Any], folder: Path | None = None) -> tuple[str, ...]:
    """The files that a config's data name, resolved.

    Args:
        data: not yet checked.
        folder: that relative paths are relative to; None: the working folder.

    Raises:
        UserError: what stands at the key is no list of paths.
    """
    return validate(_Named, {KEY: data[KEY]} if KEY in data else {}, folder).extensions


def not_loaded(paths: Iterable[str]) -> list[str]:
    """Those that were not imported in this process."""
    return [path for path in paths if path not in _loaded]


def load_extensions(paths: Collection[str], where: str, allowed: bool) -> None:
    """Imports files of code, each once, under a module name of its own.

    Args:
        paths: resolved.
        where: the config that names them, for errors.
        allowed: whether the user said that they may run.

    Raises:
        ExtensionError: one is not allowed, is not there, or fails; what it had added to the tables is gone again.
    """
    new = list(dict.fromkeys(not_loaded(paths)))
    for path in new:
        if not os.path.isfile(path):
            raise ExtensionError(f"{where}: {KEY}: {path}: no such file")
        if not path.endswith(".py"):
            raise ExtensionError(f"{where}: {KEY}: {path}: must be a file of Python code, whose name ends in .py")
    if new and not allowed:
        what = f"{', '.join(new)} {'is' if len(new) == 1 else 'are'} code, which can do anything that you can"
        raise ExtensionError(f"{where}: {KEY}: {what}; look at {'it' if len(new) == 1 else 'them'}, then say {ALLOW}")
    for path in new:
        try:
            _loaded[path] = _import(path)
        except (Exception, SystemExit) as error:  # of any kind: it is somebody else's code
            raise ExtensionError(f"{where}: {KEY}: {path}{_place(error, path)}: {_said(error)}") from None


class _SourceLoader(SourceFileLoader):
    """Runs the file that the user looked at, and no bytecode that may lie beside it."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _import(path: str) -> ModuleType:
    """The module; where it fails, neither it nor what it added to tables is there."""
    stem = re.sub(r"\W", "_", Path(path).stem)
    name = f"multitask_extension_{stem}_{hashlib.blake2b(os.fsencode(path), digest_size=4).hexdigest()}"
    loader = _SourceLoader(name, path)
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    restore = tables_saved()
    sys.modules[name] = module  # where pydantic, dataclasses and pickle look for what its classes are made of
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        restore()
        raise
    return module


@contextmanager
def temporary_extensions() -> Iterator[None]:
    """Whatever is added to tables within, by extensions or without, is gone afterwards: for tests, and to try things.

    >>> from multitask.losses import LOSSES
    >>> with temporary_extensions():
    ...     del LOSSES["focal"]
    >>> "focal" in LOSSES
    True
    """
    restore, loaded = tables_saved(), dict(_loaded)
    try:
        yield
    finally:
        restore()
        for path in _loaded.keys() - loaded.keys():
            sys.modules.pop(_loaded.pop(path).__name__, None)


def _place(error: BaseException, path: str) -> str:
    """The last line of the file that was being run."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return f", line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f", line {lines[-1]}" if lines else ""


def _said(error: BaseException) -> str:
    if isinstance(error, UserError):
        return str(error)
    said = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
