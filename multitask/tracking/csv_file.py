"""CSV: a row for each number of an epoch, in the run's folder."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from multitask.tracking.settings import TrackerSettings
from multitask.tracking.tracker import TrackedRun, Tracker
from multitask.utils.files import csv_text, write_atomically

HEADER = ("epoch", "name", "value")


class CsvTracker(Tracker):
    """Writes ``tracking.csv`` anew at each epoch, so that whoever reads it finds whole rows."""

    def __init__(self, run: TrackedRun) -> None:
        self._path = run.folder / "tracking.csv"
        self._rows: list[tuple[str, str, str]] = []
        if run.num_epochs and self._path.is_file():
            with self._path.open(encoding="utf-8", newline="") as file:
                rows = [(row[0], row[1], row[2]) for row in csv.reader(file)]
            self._rows = [row for row in rows[1:] if row[0] and int(row[0]) <= run.num_epochs]

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Adds the epoch's rows."""
        self._write(str(epoch), values)

    def report(self, values: Mapping[str, float], files: Sequence[Path]) -> None:
        """Adds the report's rows, which are of no epoch."""
        self._write("", values)

    def _write(self, epoch: str, values: Mapping[str, float]) -> None:
        self._rows += [(epoch, name, repr(value)) for name, value in values.items()]
        write_atomically(self._path, csv_text(HEADER, self._rows))


class CsvSettings(TrackerSettings):
    """A file ``tracking.csv`` in the run's folder, with columns epoch, name and value."""

    name: Literal["csv"] = "csv"

    def open(self, run: TrackedRun) -> Tracker:
        """The file, with the rows of the epochs that the run has finished already."""
        return CsvTracker(run)
