"""The contract of trackers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from multitask.testing.expect import expect
from multitask.tracking import TrackerSettings
from multitask.tracking.tracker import TrackedRun, Tracker

SETTINGS = {"seed": 0, "training.lr": 1e-3, "labels.tasks.ä.classes": ["a", "b"], "joint": None}
EPOCH = {"train/loss": 0.5, "val/joint/macro_f1": 0.25, "val/tasks/ä b/macro_f1": 1.0}
REPORT = {"report/joint/macro_f1": 0.5}


def _opened(settings: TrackerSettings, run: TrackedRun) -> Tracker:
    tracker = settings.open(run)
    expect(isinstance(tracker, Tracker), settings, f"open a Tracker, not a {type(tracker).__name__}")
    return tracker


def takes_a_whole_run(settings: TrackerSettings) -> None:
    """Its epochs, its report with files, and its end."""
    with tempfile.TemporaryDirectory() as name:
        (config := Path(name, "config.yaml")).write_text("seed: 0\n")
        tracker = _opened(settings, TrackedRun(Path(name), SETTINGS))
        for epoch in (1, 2):
            tracker.epoch(epoch, EPOCH)
        tracker.report(REPORT, [config])
        tracker.close(failed=False)


def goes_on_with_a_run_that_was_interrupted(settings: TrackerSettings) -> None:
    """Under the key that it gave, and from the epoch after the last that was finished."""
    with tempfile.TemporaryDirectory() as name:
        first = _opened(settings, TrackedRun(Path(name), SETTINGS))
        first.epoch(1, EPOCH)
        first.epoch(2, EPOCH)  # of which the run was not told that it is on disk
        first.close(failed=True)
        second = _opened(settings, TrackedRun(Path(name), SETTINGS, num_epochs=1, key=first.key))
        expect(second.key == first.key, settings, f"keep the run's key, {first.key!r}, not {second.key!r}")
        second.epoch(2, EPOCH)
        second.close(failed=False)


def leaves_the_runs_own_files(settings: TrackerSettings) -> None:
    """Those that a run is read from."""
    with tempfile.TemporaryDirectory() as name:
        own = {Path(name, file): file for file in ("config.yaml", "metrics.jsonl", "report.json", "data.json")}
        for path, text in own.items():
            path.write_text(text)
        tracker = _opened(settings, TrackedRun(Path(name), SETTINGS))
        tracker.epoch(1, EPOCH)
        tracker.report(REPORT, list(own))
        tracker.close(failed=False)
        changed = [path.name for path, text in own.items() if not path.is_file() or path.read_text() != text]
        expect(not changed, settings, f"leave the run's files, not change {', '.join(changed)}")


TRACKER_CHECKS: tuple[Callable[[TrackerSettings], None], ...] = (
    takes_a_whole_run,
    goes_on_with_a_run_that_was_interrupted,
    leaves_the_runs_own_files,
)
"""What ``check_tracker`` asks, one by one."""


def check_tracker(settings: TrackerSettings) -> None:
    """Checks that trackers of these settings keep the contract of those that come with the package.

    Raises:
        AssertionError: it does not; the message says in what.

    >>> from multitask.tracking.csv_file import CsvSettings
    >>> check_tracker(CsvSettings())
    """
    settings.require()
    for check in TRACKER_CHECKS:
        check(settings)
