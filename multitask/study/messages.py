"""The messages between a launch and its workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from multitask.executors.messages import Beat, Lost, Ready, Warned
from multitask.progress import EpochRecord
from multitask.reporting.study.report_schema import TrialScores

__all__ = ["Beat", "Done", "Epoch", "Failed", "Job", "Lost", "Ready", "Stopped", "Warned"]


@dataclass(frozen=True)
class Job:
    """A run to be done.

    Attributes:
        config: as plain data, paths absolute.
        out: the run folder; what stands there is removed.
        reuse: the folder that the runs of a study share.
        metrics: figures of the report that are asked for.
        keep_checkpoints: whether weights stay once the run is done.
    """

    config: Mapping[str, object]
    out: Path
    reuse: Path
    metrics: tuple[str, ...]
    keep_checkpoints: bool = False


@dataclass(frozen=True)
class Epoch:
    """An epoch is done; ``record`` is its row of ``metrics.jsonl``. The worker waits for whether to go on."""

    record: EpochRecord


@dataclass(frozen=True)
class Done:
    """A run is done.

    Attributes:
        figures: what the job asked for, by metric; None where the report has no number.
        scores: the report's macro-F1.
        seconds: that the run took, without the time in which the worker waited for answers.
    """

    figures: dict[str, float | None]
    scores: TrialScores
    seconds: float


@dataclass(frozen=True)
class Stopped:
    """A run was stopped after an epoch, as the launch asked."""


@dataclass(frozen=True)
class Failed:
    """A run ended in an error, of one line."""

    message: str
