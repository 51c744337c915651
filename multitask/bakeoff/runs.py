"""The runs of a bake-off: done once, kept while their settings stand, answered again for other decode rules."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from multitask.bakeoff.plan import Contender, digest_of
from multitask.bakeoff.settings import Point
from multitask.config import Config
from multitask.errors import DivergedError, UserError
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.report_schema import RunReport
from multitask.progress import EpochRecord, Progress, RunningTrial, StudyProgress, SweepStatus
from multitask.runs.comparison import TRACKING
from multitask.runs.config import load_run_config
from multitask.runs.data_module import DataModule
from multitask.runs.folder import RunFolder
from multitask.runs.report import write_report
from multitask.runs.run import run
from multitask.utils.files import write_atomically
from multitask.utils.records import Count, read_record, record_to_json


@dataclass(frozen=True)
class Diverged:
    """``diverged.json``: why there is no report."""

    message: str


@dataclass(frozen=True)
class Peak:
    """``peak.json``: the most that CUDA had given out while the run was trained."""

    bytes: Count


def is_run_of(folder: RunFolder, config: Config) -> bool:
    """Whether a folder holds a run of this config, finished or not; whom it told its scores does not count."""
    if not folder.exists():
        return False
    try:
        held = load_run_config(folder)
        return held.with_changes({TRACKING: []}) == config.with_changes({TRACKING: []})
    except UserError:
        return False


def _diverged(folder: RunFolder) -> Path:
    return folder.path / "diverged.json"


def _peak(folder: RunFolder) -> Path:
    return folder.path / "peak.json"


def train(
    config: Config,
    folder: RunFolder,
    reuse: Path,
    on_epoch: Callable[[EpochRecord], None],
    progress: Progress,
    keep_checkpoints: bool,
) -> None:
    """Trains a bake-off's run, or resumes it, and writes down what it took.

    Raises:
        UserError: something is not as it must be.
    """
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    try:
        run(config, folder.path, resume=True, on_epoch=on_epoch, progress=progress, reuse=reuse)
    except DivergedError as error:
        write_atomically(_diverged(folder), record_to_json(Diverged(str(error))))
    if cuda:
        write_atomically(_peak(folder), record_to_json(Peak(torch.cuda.max_memory_allocated())))
    if not keep_checkpoints:
        shutil.rmtree(folder.checkpoints, ignore_errors=True)


@dataclass(frozen=True)
class BakeoffRun:
    """A contender's run.

    Attributes:
        contender: the one that it is a run of.
        name: for messages.
        config: whole.
        folder: its own.
        point: the place on the axis.
        index: the run's number, which says its seed and its fold.
        source: the run that trains the same and is only answered again; None: this one is trained.
    """

    contender: Contender
    name: str
    config: Config
    folder: RunFolder
    point: Point
    index: int
    source: BakeoffRun | None = None

    @property
    def _diverged(self) -> Path:
        return _diverged(self.folder)

    @property
    def _peak(self) -> Path:
        return _peak(self.folder)

    def is_done(self) -> bool:
        """Whether a run of exactly these settings came to its end, be it that its loss was no number any more."""
        return is_run_of(self.folder, self.config) and (self.folder.report().is_file() or self.failure() is not None)

    def failure(self) -> str | None:
        """Why there is no report: its loss was no number any more."""
        return read_record(self._diverged, Diverged).message if self._diverged.is_file() else None

    def predictions(self) -> Predictions:
        """Its answers.

        Raises:
            UserError: the files are gone or damaged.
        """
        config = self.config
        return Predictions.from_csv(self.folder.predictions(), config.space(), config.learned_space())

    def peak_bytes(self) -> int | None:
        """The most that CUDA had given out while it was trained; None without CUDA."""
        return read_record(self._peak, Peak).bytes if self._peak.is_file() else None

    def perform(
        self, reuse: Path, on_epoch: Callable[[EpochRecord], None], progress: Progress, keep_checkpoints: bool
    ) -> None:
        """Trains the run, resumes it, or decodes the predictions of its source by its own rule.

        Raises:
            UserError: something is not as it must be.
        """
        self.clear()
        if self.source is not None:
            self._answer_again(self.source)
        else:
            train(self.config, self.folder, reuse, on_epoch, progress, keep_checkpoints)

    def clear(self) -> None:
        """Removes what stands in the folder of another config's run."""
        path = self.folder.path
        if path.exists() and not is_run_of(self.folder, self.config):
            shutil.rmtree(path)
        path.parent.mkdir(parents=True, exist_ok=True)

    def _answer_again(self, source: BakeoffRun) -> None:
        """A run folder of the source's network, its images answered by this run's decode rule."""
        theirs, own, config = source.folder, self.folder, self.config
        failure = source.failure()
        answers = None if failure is not None else source.predictions()
        own.path.mkdir(exist_ok=True)
        for path in (theirs.data, theirs.split, theirs.metrics):
            if path.is_file():
                write_atomically(own.path / path.name, path.read_bytes())
        own.create(config.to_yaml(), theirs.read_environment())
        if failure is not None:
            write_atomically(self._diverged, record_to_json(Diverged(failure)))
            return
        assert answers is not None
        write_report(own, "val", answers, config.evaluation(), DataModule(config), own.read_history())


def with_sources(runs: list[BakeoffRun]) -> list[BakeoffRun]:
    """The runs, each that trains what an earlier one trains being answered from that one."""
    first: dict[str, BakeoffRun] = {}
    found = []
    for one in runs:
        source = first.setdefault(digest_of(one.config), one)
        found.append(one if source is one else replace(one, source=source))
    return found


class Course:
    """Performs runs one after the other, and notifies the progress.

    Args:
        reuse: where decoded images and features are kept.
        progress: notified of every run.
        view: how the bake-off stands; it is changed.
        keep_checkpoints: whether the weights of every run are kept.
    """

    def __init__(self, reuse: Path, progress: StudyProgress, view: SweepStatus, keep_checkpoints: bool) -> None:
        self._reuse = reuse
        self._progress = progress
        self._view = view
        self._keep_checkpoints = keep_checkpoints
        self._seconds: list[float] = []

    def do(self, one: BakeoffRun, in_words: Callable[[RunReport], str]) -> None:
        """Performs a run, or what is left of one that was stopped.

        Args:
            one: the run.
            in_words: from a report to the line that is shown of it.

        Raises:
            UserError: it fails; the line names the run.
        """
        view, progress = self._view, self._progress
        if one.is_done():
            view.failed += one.failure() is not None
            view.finished += one.failure() is None
            progress.tick()
            return
        shown = RunningTrial(one.name, one.config.training.epochs, one.contender.own)
        view.running = {0: shown}

        def on_epoch(record: EpochRecord) -> None:
            shown.take(record)
            progress.epoch(shown)

        try:
            one.perform(self._reuse, on_epoch, Ticking(progress, one.name), self._keep_checkpoints)
        except UserError as error:
            raise UserError(f"{one.name}: {error}") from None
        finally:
            view.running = {}
        self.tell(one, time.monotonic() - shown.started, in_words)

    def tell(self, one: BakeoffRun, seconds: float, in_words: Callable[[RunReport], str]) -> None:
        """Notifies the progress that a run has ended.

        Args:
            one: the run.
            seconds: that it took.
            in_words: from a report to the line that is shown of it.
        """
        view, progress = self._view, self._progress
        if one.source is None:
            self._seconds.append(seconds)
            view.mean_seconds = statistics.fmean(self._seconds)
        failure = one.failure()
        if failure is not None:
            view.failed += 1
            progress.ended(f"{one.name}: failed, {failure}", "failed")
        else:
            view.finished += 1
            again = ", answered again" if one.source is not None else ""
            progress.ended(f"{one.name}: {in_words(one.folder.read_report())}{again}", "finished")


class Ticking(Progress):
    """A run's progress as a bake-off shows it: pieces of work, and the elapsed time at every batch."""

    def __init__(self, progress: StudyProgress, name: str = "") -> None:
        self._progress, self._name = progress, name

    def warn(self, text: str) -> None:
        """Passed on, with the run's name."""
        self._progress.warn(f"{self._name}: {text}" if self._name else text)

    def stage(self, name: str, total: int, unit: str) -> Callable[[int], None]:
        """Passed on to the progress of the bake-off."""
        return self._progress.stage(name, total, unit)

    def batch(self, done: int, num_images: int, losses: Callable[[], Mapping[str, float]]) -> None:
        """Updates what depends on the time; the losses are not shown."""
        self._progress.tick()
