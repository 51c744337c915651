"""The folder of a study."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from multitask.errors import UserError
from multitask.utils.files import held, is_part


class StudyFolder:
    """The files of one study.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings = path / "study.yaml"
        self.database = path / "study.db"
        self.log = path / "workers.log"
        self.trials = path / "trials"
        self.confirming = path / "confirm"
        self.reuse = path / "reuse"
        self.confirmation = path / "confirmation.json"
        self.report = path / "report.json"
        self.page = path / "study.html"
        self.best = path / "best.yaml"
        self._lock = path / ".lock"

    def trial(self, number: int) -> Path:
        """The run folder of a trial."""
        return self.trials / f"{number:04d}"

    def confirming_run(self, number: int, run: int) -> Path:
        """The run folder of a trial's confirming run."""
        return self.confirming / f"{number:04d}-{run}"

    def exists(self) -> bool:
        """Whether the folder holds a study."""
        return self.settings.is_file()

    def claim(self) -> None:
        """Refuses a folder that holds anything but a study.

        Raises:
            UserError: it does.
        """
        if self.exists() or not self.path.exists():
            return
        own = {self.database.name, f"{self.database.name}-journal", self._lock.name}
        if not self.path.is_dir() or any(entry.name not in own and not is_part(entry) for entry in self.path.iterdir()):
            raise UserError(f"{self.path}: exists and is no study folder; name another --out")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder, and keeps other launches on this machine out; a launch that is killed lets go.

        Raises:
            UserError: another launch has it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with held(self._lock) as mine:
            if not mine:
                raise UserError(
                    f"{self.path}: another launch is at work on this study; use --workers for more of them, or --out "
                    "and --storage to share it"
                )
            try:
                for path in self.path.glob(".*.part"):
                    path.unlink(missing_ok=True)  # what killed writers left
                yield
            finally:
                if not self.exists():
                    self._clear()

    def _clear(self) -> None:
        """Removes what a launch leaves that ended before there was a study."""
        for path in (self.database, self._lock):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # somebody else's files
            self.path.rmdir()
