"""The folder of a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree

from multitask.errors import UserError
from multitask.runs.folder import RunFolder
from multitask.utils.files import held, is_part


class RecipeFolder:
    """The files of one recipe; what a stage leaves is in ``stages/<name>``, runs that were compared in ``runs``.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings = path / "recipe.yaml"
        self.clock = path / "clock.json"
        self.report = path / "report.json"
        self.page = path / "recipe.html"
        self.best = path / "best.yaml"
        self.reuse = path / ".reuse"
        self._lock = path / ".lock"

    def stage(self, name: str) -> Path:
        """The folder of a stage."""
        return self.path / "stages" / name

    def plan(self, name: str) -> Path:
        """What the clock allowed a stage, written before it begins."""
        return self.stage(name) / "plan.json"

    def outcome(self, name: str) -> Path:
        """How a stage ended, written last: a stage that has it is done."""
        return self.stage(name) / "outcome.json"

    def run(self, digest: str) -> RunFolder:
        """The run of a config of that digest."""
        return RunFolder(self.path / "runs" / digest)

    def exists(self) -> bool:
        """Whether the folder holds a recipe."""
        return self.settings.is_file()

    def claim(self) -> None:
        """Refuses a folder that holds anything but a recipe.

        Raises:
            UserError: it does.
        """
        if self.exists() or not self.path.exists():
            return
        own = (self._lock.name, self.reuse.name)
        if not self.path.is_dir() or any(entry.name not in own and not is_part(entry) for entry in self.path.iterdir()):
            raise UserError(f"{self.path}: exists and is no recipe's folder; name another --out")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder, and keeps other launches on this machine out; a launch that is killed lets go.

        Raises:
            UserError: another launch has it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with held(self._lock) as mine:
            if not mine:
                raise UserError(f"{self.path}: another launch is at work on this recipe")
            try:
                for path in self.path.rglob(".*.part"):
                    path.unlink(missing_ok=True)  # what killed writers left
                yield
            finally:
                if not self.exists():
                    rmtree(self.reuse, ignore_errors=True)
                    self._lock.unlink(missing_ok=True)
                    with suppress(OSError):  # somebody else's files
                        self.path.rmdir()
