"""The interface of trackers, and the run that they are opened for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TrackedRun:
    """A run that begins, or goes on.

    Attributes:
        folder: its folder, which exists.
        settings: its whole config: dotted key -> value.
        num_epochs: that it has finished already; 0 where it begins.
        key: what the tracker gave for this run when it was opened first; None: it never was.
    """

    folder: Path
    settings: Mapping[str, Any]
    num_epochs: int = 0
    key: str | None = None

    @property
    def name(self) -> str:
        """Its folder's path from the current folder, as ``runs/study/trials/0007``; of one elsewhere the last parts."""
        folder = self.folder.resolve()
        here = Path.cwd()
        return "/".join((folder.relative_to(here) if folder.is_relative_to(here) else folder).parts[-4:])


class Tracker(ABC):
    """Takes a run's scores.

    Attributes:
        key: by which the run is found again when it goes on; None: by its folder.
    """

    key: str | None = None

    @abstractmethod
    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """An epoch is done.

        Args:
            epoch: from 1; the first is the one after those that the run has finished already.
            values: its finite numbers, as ``train/loss`` and ``val/joint/macro_f1``.
        """

    def report(self, values: Mapping[str, float], files: Sequence[Path]) -> None:  # noqa: B027  # not all take it
        """The run is reported.

        Args:
            values: the report's scores, as ``report/joint/macro_f1``.
            files: small ones to be kept beside: the config and the report.
        """

    def close(self, *, failed: bool) -> None:  # noqa: B027  # not all hold something
        """The run has ended; perhaps by an error or an interrupt."""
