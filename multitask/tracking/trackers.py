"""The trackers of a run together, none of which is a reason to stop it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from multitask.errors import printable
from multitask.progress import EpochRecord, Progress
from multitask.settings import flatten
from multitask.tracking.settings import TrackerSettings
from multitask.tracking.tracker import TrackedRun, Tracker
from multitask.utils.files import to_json, write_atomically
from multitask.utils.records import read_json, to_data

KEYS = "tracking.json"
"""The file in the run's folder with each tracker's key of the run."""


class Trackers:
    """Opens trackers, tells them a run's epochs and report, and closes them; one that fails is left out from then on.

    As a context it closes them.

    Args:
        rows: the ``tracking`` section.
        folder: the run's, begun.
        settings: the run's whole config, as plain data.
        num_epochs: that it has finished already.
        progress: warned of trackers that fail.
    """

    def __init__(
        self,
        rows: Sequence[TrackerSettings],
        folder: Path,
        settings: Mapping[str, Any],
        num_epochs: int,
        progress: Progress,
    ) -> None:
        self._progress = progress
        self._open: dict[str, Tracker] = {}
        self._failed: list[Tracker] = []
        if not rows:
            return
        path = folder / KEYS
        keys: dict[str, str] = {}
        if num_epochs:
            self._call("what an earlier launch left", lambda: keys.update(_known(path)))
        for row in rows:
            run = TrackedRun(folder, flatten(settings), num_epochs, keys.get(row.name))
            self._call(row.name, partial(self._begin, row, run))
        keys |= {name: tracker.key for name, tracker in self._open.items() if tracker.key is not None}
        if keys:
            write_atomically(path, to_json(keys))

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is done."""
        values = numbers(to_data(record))
        epoch = values.pop("epoch")
        for name, tracker in list(self._open.items()):
            self._call(name, partial(tracker.epoch, int(epoch), values))

    def report(self, scores: Mapping[str, Any], files: Sequence[Path]) -> None:
        """The run is reported.

        Args:
            scores: of the report, nested.
            files: as of ``Tracker.report``.
        """
        values = numbers(scores, "report/")
        for name, tracker in list(self._open.items()):
            self._call(name, partial(tracker.report, values, files))

    def __enter__(self) -> Trackers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for tracker in self._failed:  # perhaps it answers by now
            with suppress(Exception):
                tracker.close(failed=True)
        for name, tracker in list(self._open.items()):
            self._call(name, partial(tracker.close, failed=kind is not None))

    def _begin(self, row: TrackerSettings, run: TrackedRun) -> None:
        self._open[row.name] = row.open(run)

    def _call(self, name: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # whatever another program's client raises
            if name in self._open:
                self._failed.append(self._open.pop(name))
            reason = printable(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__)
            self._progress.warn(f"tracking: {name} failed, the run goes on without it: {reason[:200]}")


def numbers(data: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The finite numbers in nested data, by their keys with slashes; truth values are none.

    >>> numbers({"epoch": 3, "best": True, "val": {"joint": {"macro_f1": 0.5, "loss": None}}})
    {'epoch': 3.0, 'val/joint/macro_f1': 0.5}
    """
    flat = {key.replace(".", "/"): value for key, value in flatten(data).items()}
    return {
        f"{prefix}{key}": float(value)
        for key, value in flat.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }


def _known(path: Path) -> dict[str, str]:
    return {name: str(key) for name, key in read_json(path).items()} if path.is_file() else {}
