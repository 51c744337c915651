"""The samples of a run: what the source and the corrections say of them, and who trains, validates and tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multitask.data.contradictions import settle_contradictions
from multitask.data.corrections import CorrectionsRecord, correct
from multitask.data.empty_cells import EmptyCells, empty_cells
from multitask.data.group_names import group_name_notes
from multitask.data.per_group import per_group_tasks
from multitask.data.samples import Samples
from multitask.data.sentinels import sentinel_notes
from multitask.data.settings import DataSettings
from multitask.data.splits import Split, split_samples
from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace
from multitask.utils.spelling import plural

_VERBS = {"val": "validate", "pick": "pick the epoch"}


@dataclass(frozen=True, eq=False)
class Dataset:
    """N samples and their split.

    Attributes:
        samples: corrected, where there are corrections.
        split: theirs.
        corrected: (N, T) bool, whether a correction changed the label.
        corrections: what was corrected; None where there are no corrections.
    """

    samples: Samples
    split: Split
    corrected: NDArray[np.bool_]
    corrections: CorrectionsRecord | None = None

    @classmethod
    def read(cls, settings: DataSettings, space: LabelSpace, seed: int) -> Dataset:
        """Reads the source and the corrections; no image is opened.

        Args:
            settings: the ``data`` section.
            space: the label space.
            seed: the run's; the split's is derived from it where it has none of its own.

        Raises:
            UserError: the source, the corrections or the split find something wrong, or a group has two labels in a
                task that is declared to be per group.
        """
        return cls.of(settings, settings.source.samples(Path(settings.root), space), seed)

    @classmethod
    def of(cls, settings: DataSettings, given: Samples, seed: int) -> Dataset:
        """The dataset of samples that were read already; the rest as of ``read``."""
        samples, kept, record = given, np.arange(len(given)), None
        if settings.corrections is not None:
            done = correct(given, settings.corrections)
            samples, kept, record = done.samples, done.kept, done.record
        relabelled = samples.labels != given.labels[kept]
        samples, rows = settle_contradictions(samples, settings.contradictions)
        if len(rows) < len(kept):
            kept, relabelled = kept[rows], relabelled[rows]
        del rows
        samples = replace(samples, notes=(*samples.notes, *group_name_notes(samples), *sentinel_notes(samples)))
        split = split_samples(settings, samples, given, kept, seed)
        return cls(samples, split, relabelled, record)

    def indices(self, split: str) -> NDArray[np.int64]:
        """The samples of ``train``, ``val``, ``test``, ``pick`` or ``all``."""
        if split == "all":
            return np.arange(len(self.samples))
        return {
            "train": self.split.train,
            "val": self.split.val,
            "test": self.split.test,
            "pick": self.split.pick,
        }[split]

    def training_samples(self) -> Samples:
        """The samples that train."""
        return self.samples.take(self.split.train)

    def without_test(self) -> Samples:
        """All samples but those that test."""
        if not len(self.split.test):
            return self.samples
        return self.samples.take(np.setdiff1d(np.arange(len(self.samples)), self.split.test))

    @cached_property
    def per_group(self) -> tuple[str, ...]:
        """The tasks that are per group in the samples that train."""
        return per_group_tasks(self.samples, self.split.train)

    @cached_property
    def empty_cells(self) -> EmptyCells:
        """The classes without images."""
        return empty_cells(self.samples, self.split)

    def check_scored(self, metric: str, key: str, split: str = "val", hint: str = "") -> None:
        """Checks that a score of those who validate, if there are any, can be known.

        Args:
            metric: as ``joint.macro_f1``.
            key: the setting that names it.
            split: whose score it is, ``val`` or ``pick``.
            hint: another way to go on, added to the line.

        Raises:
            UserError: no sample that validates has the label.
        """
        val = self.samples.take(self.indices(split))
        if len(val) and not (_scored(val, metric) != MISSING).any():
            names = val.space.task_names
            labels = {f"tasks.{task}": column for task, column in zip(names, val.labels.T, strict=True)}
            scored = next((place for place in labels if metric.startswith(f"{place}.")), "joint")
            other = next((place for place, column in labels.items() if (column != MISSING).any()), None)
            raise UserError(
                f"{key}: {metric} is unknown: none of the {plural(len(val), 'image', 'images')} that {_VERBS[split]} "
                "has "
                + ("all its labels" if scored == "joint" else "that label")
                + (f"; name {other}{metric.removeprefix(scored)}" if other else "")
                + hint
            )

    def num_scored_groups(self, metric: str) -> int:
        """Groups that validate, of which an image has the label that a score is of."""
        val = self.samples.take(self.indices("val"))
        return len(set(val.groups[_scored(val, metric) != MISSING]))

    def check_bound(self, metric: str, split: str) -> None:
        """Checks that the standard error of a score over groups, which ``keep: lower_bound`` takes off, can be known.

        Args:
            metric: as ``joint.macro_f1``.
            split: the part of the split that is scored, ``val`` or ``pick``.

        Raises:
            UserError: only one group has the label.
        """
        scored = self.samples.take(self.indices(split))
        if len(scored) and scored.groups[_scored(scored, metric) != MISSING].num_distinct < 2:
            raise UserError(
                f"training.keep: lower_bound needs {metric} of two groups, but only one that is to {_VERBS[split]} is "
                "labelled for it; let more (data.val_fraction, data.folds, data.pick_fraction), or set "
                "training.keep.name to best, last or mean"
            )


def _scored(samples: Samples, metric: str) -> NDArray[np.int64]:
    """(N,) the labels that a score is of: a task's, or the classes; ``MISSING`` where unknown."""
    for column, task in enumerate(samples.space.task_names):
        if metric.startswith(f"tasks.{task}."):
            return samples.labels[:, column]
    return samples.classes
