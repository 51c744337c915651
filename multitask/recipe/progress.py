"""The progress of a recipe as its parts are shown it: studies, runs that are timed, and runs in folds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from multitask.progress import EpochRecord, Progress, RunningTrial, StudyProgress, SweepStatus
from multitask.recipe.budget import Clock


class Passing(StudyProgress):
    """Passes everything on but its own end, and keeps on disk after every epoch what was spent.

    Args:
        inner: the recipe's; it is closed by who opened it, since other stages follow.
        clock: the recipe's.
    """

    def __init__(self, inner: StudyProgress, clock: Clock) -> None:
        self._inner, self._clock = inner, clock

    def stage(self, name: str, total: int, unit: str) -> Callable[[int], None]:
        """Passed on; its seconds are counted once it is done."""
        tell, began = self._inner.stage(name, total, unit), time.monotonic()

        def done(num: int) -> None:
            tell(num)
            if num >= total:
                self._clock.worked_s += time.monotonic() - began

        return done

    def begin(self, view: SweepStatus) -> None:
        """Passed on."""
        self._inner.begin(view)

    def tick(self) -> None:
        """Passed on."""
        self._inner.tick()

    def epoch(self, trial: RunningTrial) -> None:
        """Passed on."""
        self._inner.epoch(trial)
        self._clock.save()

    def ended(self, text: str, kind: str) -> None:
        """Passed on."""
        self._inner.ended(text, kind)

    def say(self, text: str) -> None:
        """Passed on."""
        self._inner.say(text)

    def warn(self, text: str) -> None:
        """Passed on."""
        self._inner.warn(text)


class Timed(Passing):
    """The same for runs of the recipe's own, which the clock may end after every epoch but a run's last."""

    def epoch(self, trial: RunningTrial) -> None:
        """Passed on.

        Raises:
            BudgetSpentError: no time is left for the next.
        """
        super().epoch(trial)
        if trial.epoch < trial.num_epochs:
            self._clock.check()

    def check(self) -> None:
        """Called before a run begins.

        Raises:
            BudgetSpentError: no time is left for it.
        """
        self._clock.check()


class FoldProgress(Progress):
    """Runs for use, each whole or in folds, as the runs of a sweep.

    Args:
        progress: of the recipe; what it raises before a run and after an epoch ends it.
        name: of the work.
        metric: that decides.
        num_runs: how many; a fold is one.
        epochs: of each.
    """

    def __init__(self, progress: Timed, name: str, metric: str, num_runs: int, epochs: int) -> None:
        self._progress = progress
        self._epochs = epochs
        self._ended = 0
        self._view = SweepStatus(name, (metric,), num_runs, phase="training")
        progress.begin(self._view)

    def stage(self, name: str, total: int, unit: str) -> Callable[[int], None]:
        """Passed on."""
        return self._progress.stage(name, total, unit)

    def warn(self, text: str) -> None:
        """Passed on, with the name of the work and of the run."""
        names = [self._view.name, *(shown.name for shown in self._view.running.values())]
        self._progress.warn(f"{', '.join(names)}: {text}")

    def begin(self, name: str) -> None:
        """A run begins.

        Raises:
            BudgetSpentError: no time is left for it.
        """
        self._progress.check()
        self._view.running = {0: RunningTrial(name, self._epochs, {})}
        self._progress.tick()

    def fold(self, index: int, num_folds: int, done: bool) -> None:
        """A fold begins, and those before it are done."""
        self._view.finished, self._view.running = self._ended + index + done, {}
        if not done:
            self.begin(f"fold {index + 1}")

    def batch(self, done: int, num_images: int, losses: Callable[[], Mapping[str, float]]) -> None:
        """Updates what depends on the time."""
        self._progress.tick()

    def epoch_done(self, record: EpochRecord) -> None:
        """An epoch of the run is done."""
        shown = self._view.running[0]
        shown.take(record)
        self._progress.epoch(shown)

    def end(self, num_runs: int) -> None:
        """So many runs have ended, all folds of a run or one that is whole."""
        self._ended += num_runs
        self._view.finished, self._view.running = self._ended, {}
        self._progress.tick()

    def close(self) -> None:
        """The sweep's own end says so."""
