"""The progress of a run in folds, as a recipe shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from multitask.config import Config
from multitask.progress import EpochRecord, Progress, RunningTrial, StudyProgress, SweepStatus


class FoldProgress(Progress):
    """Folds as the runs of a sweep.

    Args:
        progress: of the recipe; notified after every epoch, and what it raises there ends the run.
        name: of the work.
        metric: that decides.
        num_folds: how many.
        config: of each.
    """

    def __init__(self, progress: StudyProgress, name: str, metric: str, num_folds: int, config: Config) -> None:
        self._progress = progress
        self._epochs = config.training.epochs
        self._view = SweepStatus(name, (metric,), num_folds, phase="judging")
        progress.begin(self._view)

    def stage(self, name: str, total: int, unit: str) -> Callable[[int], None]:
        """Passed on."""
        return self._progress.stage(name, total, unit)

    def fold(self, index: int, num_folds: int, done: bool) -> None:
        """A fold begins, and those before it are done."""
        self._view.finished = index + done
        self._view.running = {} if done else {0: RunningTrial(f"fold {index + 1}", self._epochs, {})}
        self._progress.tick()

    def batch(self, done: int, num_images: int, losses: Callable[[], Mapping[str, float]]) -> None:
        """Updates what depends on the time."""
        self._progress.tick()

    def epoch_done(self, record: EpochRecord) -> None:
        """An epoch of the fold that runs is done."""
        shown = self._view.running[0]
        shown.take(record)
        self._progress.epoch(shown)

    def close(self) -> None:
        """The sweep's own end says so."""
