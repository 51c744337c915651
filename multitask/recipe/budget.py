"""The budget of a recipe and its clock, which is kept on disk: what an earlier launch has spent counts."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from multitask.errors import UserError, quoted
from multitask.utils.files import write_atomically
from multitask.utils.records import Count, Number, read_record, record_to_json

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_BUDGET = re.compile("".join(rf"(?:(\d+(?:\.\d+)?){unit})?" for unit in _UNITS), re.ASCII)
MAX_DAYS = 366


def parse_budget(text: str, key: str = "budget") -> float:
    """The seconds of a budget as it is written: ``2h``, ``90m``, ``5400s``, ``1h30m``.

    Raises:
        UserError: it is no such time, nothing, or beyond a year.
    """
    found = _BUDGET.fullmatch("".join(text.lower().split()))
    parts = [] if found is None else found.groups()
    seconds = sum(float(part) * size for part, size in zip(parts, _UNITS.values(), strict=False) if part)
    if not seconds:
        raise UserError(f"{key}: must be a time above 0 as 2h, 90m, 5400s or 1h30m, found {quoted(text)}")
    if seconds > MAX_DAYS * _UNITS["d"]:
        raise UserError(f"{key}: must be at most {MAX_DAYS} days, found {quoted(text)}")
    return seconds


class BudgetSpentError(Exception):
    """The budget is spent: what is under way ends here."""


@dataclass(frozen=True)
class _Spent:
    """``clock.json``.

    Attributes:
        stages: stage -> the seconds that it has taken in all launches.
        image_s: seconds that a training image takes in an epoch; None: not measured yet.
        trained: images of all runs' epochs, of which ``image_s`` is the mean; 0: it was measured before them.
        run_s: seconds that a run takes beside what its images do.
        runs: of which ``run_s`` is the mean.
        preparing_s: seconds in which images were read, and features of them computed, that are kept for all runs.
        prepared: images that this was done with.
        preparations: the configs' digests, as of ``Lab``, with which it is done.
    """

    stages: dict[str, Number] = field(default_factory=dict)
    image_s: Number | None = None
    trained: Count = 0
    run_s: Number = 0.0
    runs: Count = 0
    preparing_s: Number = 0.0
    prepared: Count = 0
    preparations: tuple[str, ...] = ()


class Clock:
    """The seconds of a recipe by stage, this launch's and those of earlier ones.

    Args:
        path: of ``clock.json``; written first by ``save``.
        budget_s: that may be spent in all.

    Attributes:
        image_s: seconds that a training image takes in an epoch; None: not measured yet.
        run_s: seconds that a run takes beside what its images do, as to build its network and write its report; 0: not
            measured yet.
        worked_s: seconds of pieces of work, as of ``Progress.stage``, in this launch.
        keeps: whether the file is written; not before the folder is a recipe's.

    Raises:
        UserError: the file is damaged.
    """

    def __init__(self, path: Path, budget_s: float) -> None:
        found = read_record(path, _Spent) if path.is_file() else _Spent()
        self.budget_s = budget_s
        self.image_s = found.image_s
        self.run_s = found.run_s
        self.worked_s = 0.0
        self.keeps = path.is_file()
        self._num_trained, self._num_runs = found.trained, found.runs
        self._preparing_s, self._num_prepared = found.preparing_s, found.prepared
        self._preparations = list(found.preparations)
        self._path = path
        self._stages = dict(found.stages)
        self._running: str | None = None
        self._since = 0.0
        self._most_s = budget_s

    @contextmanager
    def running(self, stage: str) -> Iterator[None]:
        """Counts the time inside for a stage, also where it ends in an error."""
        self._running, self._since, self._most_s = stage, time.monotonic(), self.budget_s
        try:
            yield
        finally:
            self._count()
            self._running = None
            self.save()

    def _count(self) -> None:
        if self._running is not None:
            since, self._since = self._since, time.monotonic()
            self._stages[self._running] = self._stages.get(self._running, 0.0) + self._since - since

    def of(self, stage: str) -> float:
        """The seconds of a stage so far."""
        here = time.monotonic() - self._since if stage == self._running else 0.0
        return self._stages.get(stage, 0.0) + here

    @property
    def spent_s(self) -> float:
        """The seconds of all stages so far."""
        return sum(map(self.of, {*self._stages, *([self._running] if self._running else [])}))

    @property
    def left_s(self) -> float:
        """The seconds that are left; below 0 where the last epoch took longer than there was."""
        return self.budget_s - self.spent_s

    def trained(self, seconds: float, num_images: int) -> None:
        """A run has trained so many images, each as often as it has epochs, in so many seconds."""
        before_s = (self.image_s or 0.0) * self._num_trained
        self._num_trained += num_images
        self.image_s = (before_s + seconds) / self._num_trained
        self.save()

    def ran(self, seconds: float) -> None:
        """A run took so many seconds beside what its images did."""
        before_s = self.run_s * self._num_runs
        self._num_runs += 1
        self.run_s = (before_s + max(seconds, 0.0)) / self._num_runs
        self.save()

    @property
    def preparing_image_s(self) -> float:
        """Seconds that an image takes until what runs share of it is kept; 0: not measured yet, or nothing is kept."""
        return self._preparing_s / self._num_prepared if self._num_prepared else 0.0

    def prepared(self, preparation: str, seconds: float, num_images: int) -> None:
        """What runs of that digest share of their images is kept from now on; it took so many seconds."""
        if seconds > 0:
            self._preparing_s += seconds
            self._num_prepared += num_images
        if preparation not in self._preparations:
            self._preparations.append(preparation)
        self.save()

    def nothing_is_prepared(self) -> None:
        """What runs share is kept no more."""
        self._preparations.clear()
        self.save()

    def is_prepared(self, preparation: str) -> bool:
        """Whether what runs of that digest share of their images is kept."""
        return preparation in self._preparations

    def allow(self, most_s: float) -> None:
        """Says how much the stage that runs may take, all launches together."""
        self._most_s = most_s

    @property
    def allowed_s(self) -> float:
        """What the stage that runs may take yet."""
        assert self._running is not None
        return self._most_s - self.of(self._running)

    def check(self) -> None:
        """Keeps what was spent so far on disk; called after every epoch.

        Raises:
            BudgetSpentError: nothing is left, of the budget or of what the stage may take.
        """
        self.save()
        if self.left_s <= 0 or (self._running is not None and self.allowed_s <= 0):
            raise BudgetSpentError

    def save(self) -> None:
        """Writes ``clock.json``, where it is kept."""
        self._count()
        if not self.keeps:
            return
        found = _Spent(
            self._stages, self.image_s, self._num_trained, self.run_s, self._num_runs,
            self._preparing_s, self._num_prepared, tuple(self._preparations),
        )  # fmt: skip
        write_atomically(self._path, record_to_json(found))
