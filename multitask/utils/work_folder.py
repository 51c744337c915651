"""A folder that one launch of a command works in at a time: that of a study, a bake-off, a recipe."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import ClassVar

from multitask.errors import UserError
from multitask.utils.files import held, is_part


class WorkFolder(ABC):
    """A folder that is what it is once its settings file is written.

    Args:
        path: the folder.

    Attributes:
        settings: the file that is written first.
    """

    file: ClassVar[str]
    """The settings file's name."""
    kind: ClassVar[str]
    """What a folder that has it is: ``bake-off's folder``."""
    busy: ClassVar[str]
    """What two launches cannot be at work on at once, and how they could."""
    scratch: ClassVar[tuple[str, ...]] = ()
    """The names of what may be there before the settings file, and goes where it never came to that."""
    parts: ClassVar[str] = ".*.part"
    """The pattern of what killed writers leave."""
    option: ClassVar[str] = "--out"
    """The command's option that names it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings = path / self.file
        self._lock = path / ".lock"

    def exists(self) -> bool:
        """Whether the folder is one of its kind."""
        return self.settings.is_file()

    def claim(self) -> None:
        """Refuses a folder that holds anything else.

        Raises:
            UserError: it does.
        """
        if self.exists() or not self.path.exists():
            return
        own = (self._lock.name, *self.scratch)
        if not self.path.is_dir() or any(entry.name not in own and not is_part(entry) for entry in self.path.iterdir()):
            raise UserError(f"{self.path}: exists and is no {self.kind}; name another {self.option}")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder, and keeps other launches on this machine out; a launch that is killed lets go.

        Raises:
            UserError: another launch has it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with held(self._lock) as mine:
            if not mine:
                raise UserError(f"{self.path}: another launch is at work on this {self.busy}")
            try:
                for path in self.path.glob(self.parts):
                    path.unlink(missing_ok=True)
                yield
            finally:
                if not self.exists():
                    self._clear()

    def _clear(self) -> None:
        """Removes what a launch leaves that ended before anything was begun."""
        for path in (*(self.path / name for name in self.scratch), self._lock):
            if path.is_dir():
                rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        with suppress(OSError):  # somebody else's files
            self.path.rmdir()
