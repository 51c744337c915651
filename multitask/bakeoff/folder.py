"""The folder of a bake-off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from multitask.bakeoff.settings import Point
from multitask.errors import UserError
from multitask.utils.files import held, is_part


class BakeoffFolder:
    """The files of one bake-off; its runs are in ``<contender>/<point>/<index>``.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings = path / "bakeoff.yaml"
        self.costs = path / "costs.json"
        self.report = path / "report.json"
        self.page = path / "bakeoff.html"
        self.reuse = path / ".reuse"
        self._lock = path / ".lock"

    def run(self, slug: str, point: Point, index: int) -> Path:
        """The run folder of a contender."""
        return self.path / slug / str(point) / str(index)

    def tuning_run(self, slug: str, number: int) -> Path:
        """The run folder in which a combination of tuned values is tried."""
        return self.path / slug / "tune" / str(number)

    def exists(self) -> bool:
        """Whether the folder holds a bake-off."""
        return self.settings.is_file()

    def claim(self) -> None:
        """Refuses a folder that holds anything but a bake-off.

        Raises:
            UserError: it does.
        """
        if self.exists() or not self.path.exists():
            return
        if not self.path.is_dir() or any(
            entry.name != self._lock.name and not is_part(entry) for entry in self.path.iterdir()
        ):
            raise UserError(f"{self.path}: exists and is no bake-off's folder; name another --out")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder, and keeps other launches on this machine out; a launch that is killed lets go.

        Raises:
            UserError: another launch has it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with held(self._lock) as mine:
            if not mine:
                raise UserError(f"{self.path}: another launch is at work on this bake-off")
            try:
                for path in self.path.glob(".*.part"):
                    path.unlink(missing_ok=True)  # what killed writers left
                yield
            finally:
                if not self.exists():
                    self._lock.unlink(missing_ok=True)
                    with suppress(OSError):  # somebody else's files
                        self.path.rmdir()
