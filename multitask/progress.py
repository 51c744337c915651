"""Progress callbacks of a run, a study and a bake-off."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from multitask.utils.records import ONLY_IF_KNOWN, Count, Number, Score


@dataclass(frozen=True, kw_only=True)
class HeadLosses:
    """The losses of one head over an epoch's training, each the mean over the samples that have its label.

    Attributes:
        loss: as configured.
        nll: negative log-likelihood of the label; left out where it is not recorded.
    """

    loss: Number | None = None
    nll: Number | None = field(default=None, metadata=ONLY_IF_KNOWN)


@dataclass(frozen=True, kw_only=True)
class ConflictSteps:
    """Over how many steps two losses' gradients were compared, and the standard deviation of their cosine."""

    num: Count
    sd: Number | None


@dataclass(frozen=True, kw_only=True)
class TrainingScores:
    """The scores of an epoch's training. NaN, in the file None: no sample has the label.

    Attributes:
        loss: what was descended: the losses as balanced.
        tasks: of each head, and of the joint term.
        weights: what each loss counts.
        conflict: ``[one][other]``, the mean cosine of two losses' gradients; None where the losses share nothing.
        conflict_steps: likewise, over how many steps.
        mixed: the share of batches that were mixed; left out where none was.
        nll: negative log-likelihood of the class; left out where it is not recorded.
        consistency: of each head, the mean of what was added to its loss; left out where nothing was.
    """

    loss: Number | None = None
    tasks: dict[str, HeadLosses] | None = None
    weights: dict[str, Number | None] | None = None
    conflict: dict[str, dict[str, Number | None]] | None = None
    conflict_steps: dict[str, dict[str, ConflictSteps]] | None = None
    mixed: Number | None = field(default=None, metadata=ONLY_IF_KNOWN)
    nll: Number | None = field(default=None, metadata=ONLY_IF_KNOWN)
    consistency: dict[str, Number | None] | None = field(default=None, metadata=ONLY_IF_KNOWN)


@dataclass(frozen=True, kw_only=True)
class LabelScores:
    """The scores of one labelling in an epoch's validation: its negative log-likelihood, macro-F1 and accuracy."""

    loss: Number | None = None
    macro_f1: Score | None = None
    accuracy: Score | None = None


@dataclass(frozen=True, kw_only=True)
class ValidationScores:
    """The scores of an epoch's validation. NaN, in the file None: no image has the label.

    Attributes:
        loss: mean negative log-likelihood of the class.
        joint: of the decoded classes.
        tasks: per task, of its most probable label.
        bound: the monitored score less its standard error, of a loss plus it; None: nothing asks for it.
    """

    loss: Number | None = None
    joint: LabelScores | None = None
    tasks: dict[str, LabelScores] | None = None
    bound: Number | None = field(default=None, metadata=ONLY_IF_KNOWN)

    @property
    def joint_macro_f1(self) -> float | None:
        """Macro-F1 of the decoded classes; None where it is unknown."""
        return None if self.joint is None else self.joint.macro_f1

    def task_macro_f1(self) -> dict[str, float | None]:
        """Macro-F1 of each task, by name; None where it is unknown."""
        return {task: scores.macro_f1 for task, scores in (self.tasks or {}).items()}


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """A row of ``metrics.jsonl``: the scores of an epoch. Only the first and the last key are in every file.

    Attributes:
        epoch: from 1.
        lr: the highest learning rate at its end.
        seconds: of its training.
        images_per_s: in its training.
        train: what training gave.
        val: what validation gave; None where nothing validates.
        best: whether it is the best so far.
        kept: whether its weights are kept, as long as no later epoch's are; None: where it is the best.
    """

    epoch: Annotated[int, Field(ge=1, le=10**9)]
    lr: Number | None = None
    seconds: Number | None = None
    images_per_s: Number | None = None
    train: TrainingScores | None = None
    val: ValidationScores | None = None
    best: bool
    kept: bool | None = field(default=None, metadata=ONLY_IF_KNOWN)

    @property
    def is_kept(self) -> bool:
        """Whether the weights in the best checkpoint were those of this epoch after it."""
        return self.best if self.kept is None else self.kept


def best_epoch(history: Sequence[EpochRecord]) -> int | None:
    """The number of the best epoch; None: there is none."""
    return max((row.epoch for row in history if row.best), default=None)


def kept_epoch(history: Sequence[EpochRecord]) -> int | None:
    """The number of the epoch whose weights are kept: the best one, but where ``training.keep`` says another."""
    return max((row.epoch for row in history if row.is_kept), default=None)


class Warns:
    """What is told even where nothing else is."""

    def warn(self, text: str) -> None:
        """Something was lost, and the work goes on; a ``RuntimeWarning``, which consoles print in its place."""
        warnings.warn(text, RuntimeWarning, stacklevel=2)


class Progress(Warns):
    """Callbacks on the progress of a run; but for a warning these do nothing, the console's print."""

    def note(self, text: str) -> None:
        """A message of one line; the same text is shown once."""

    def stage(self, name: str, total: int, unit: str) -> Callable[[int], None]:
        """A piece of work begins.

        Args:
            name: of the work, as "reading images".
            total: the number of units.
            unit: of which each is one.

        Returns:
            To be called with the number done so far; with the last one perhaps several times.
        """
        return lambda done: None

    def answering(self, total: int | None) -> Callable[[int], None]:
        """Images begin to be answered.

        Args:
            total: how many; None: nobody knows before the last.

        Returns:
            To be called with the number answered so far.
        """
        return lambda done: None

    def fold(self, index: int, num_folds: int, done: bool) -> None:
        """A fold's run begins, or was finished before."""

    def training(self, first_epoch: int, num_epochs: int, num_batches: int, tasks: tuple[str, ...]) -> None:
        """Training begins, perhaps not at the first epoch. ``tasks``: those that are scored after each."""

    def batch(self, done: int, num_images: int, losses: Callable[[], Mapping[str, float]]) -> None:
        """A batch is done.

        Args:
            done: batches of this epoch so far.
            num_images: images of this epoch so far.
            losses: gives the mean loss of each head in this epoch so far; costs a wait for the device.
        """

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is done; ``record`` is its row of ``metrics.jsonl``."""

    def close(self) -> None:
        """The run has ended; consoles release the terminal."""


@dataclass
class RunningTrial:
    """A trial, or a confirming run, that is being trained.

    Attributes:
        name: ``trial 7``, or ``trial 7, seed 2`` where it is a confirming run.
        num_epochs: it will train, if it is not stopped.
        settings: what it changes: config key -> value; empty for the base.
        epoch: the last finished one.
        scores: per task and ``joint``, the macro-F1 after that epoch; empty before the first, and where nobody
            validates.
        started: ``time.monotonic()`` at its start.
    """

    name: str
    num_epochs: int
    settings: Mapping[str, Any]
    epoch: int = 0
    scores: Mapping[str, float | None] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def take(self, record: EpochRecord) -> None:
        """An epoch is done; ``record`` is its row of ``metrics.jsonl``."""
        self.epoch = record.epoch
        if record.val is not None:  # as of all but a recipe's final run
            self.scores = {"joint": record.val.joint_macro_f1, **record.val.task_macro_f1()}


@dataclass
class SweepStatus:
    """The status of a study, updated in place while it runs, for consoles to draw at any time.

    Attributes:
        name: the study's.
        objectives: metrics, as ``joint.macro_f1``.
        total: trials that the study is to have (or confirming runs, while it confirms); None where time is the limit.
        deadline: ``time.monotonic()`` at which no new trial begins; None: there is none.
        phase: ``searching``; or ``confirming``, ``comparing`` (a bake-off), ``judging`` or ``training`` (a recipe), in
            which runs are counted rather than trials.
        finished: trials with a score (or confirming runs done).
        pruned: trials stopped early.
        failed: trials that ended in an error.
        retried: trials whose worker was lost, and which were queued again.
        best: the best score so far, with one objective; None before the first.
        best_trial: whose it is.
        best_since: ``time.monotonic()`` when it was reached; None if in an earlier launch.
        front: with several objectives, the number of trials that no other beats in all.
        mean_seconds: of a trial that ended, to tell the time left; None before the first.
        num_workers: processes that train.
        running: by worker.
    """

    name: str
    objectives: tuple[str, ...]
    total: int | None = None
    deadline: float | None = None
    phase: str = "searching"
    finished: int = 0
    pruned: int = 0
    failed: int = 0
    retried: int = 0
    best: float | None = None
    best_trial: int | None = None
    best_since: float | None = None
    front: int = 0
    mean_seconds: float | None = None
    num_workers: int = 1
    running: dict[int, RunningTrial] = field(default_factory=dict)

    @property
    def counts_runs(self) -> bool:
        """Whether what ends are single runs, of a confirmation or of a bake-off."""
        return self.phase != "searching"

    @property
    def ended(self) -> int:
        """Trials that count towards the total."""
        return self.finished + self.pruned + self.failed


class StudyProgress(Warns):
    """Callbacks on the progress of a study; but for a warning these do nothing, the console's print."""

    def stage(self, name: str, total: int, unit: str) -> Callable[[int], None]:
        """A piece of work begins, as in ``Progress.stage``."""
        return lambda done: None

    def begin(self, view: SweepStatus) -> None:
        """Trials begin; ``view`` is the object that changes from here on."""

    def tick(self) -> None:
        """Called about ten times a second, to update what depends on the time."""

    def epoch(self, trial: RunningTrial) -> None:
        """An epoch of a trial is done."""

    def ended(self, text: str, kind: str) -> None:
        """A trial ended, and the view counts it.

        Args:
            text: in a line, as ``trial 7: .512 after 4 epochs, best so far``.
            kind: ``finished``, ``best``, ``pruned``, ``failed`` or ``retried``.
        """

    def say(self, text: str) -> None:
        """Another message, of one line."""

    def close(self) -> None:
        """The study has ended; consoles release the terminal."""
