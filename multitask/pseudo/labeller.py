"""The labels that each head of a run is sure of, and the prior of the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.evaluation.prior_shift import Answered, PriorEstimate
from multitask.labels import MISSING, LabelSpace
from multitask.pseudo.report_schema import HeadReport
from multitask.pseudo.selection import balanced, sure_labels, without_impossible
from multitask.pseudo.settings import PseudoSettings
from multitask.pseudo.thresholds import LabelThreshold, find_thresholds
from multitask.pseudo.unlabelled import Unlabelled
from multitask.runs.out_of_fold import OutOfFold, prior_of
from multitask.utils.seeds import derive


@dataclass(frozen=True, eq=False)
class Labeller:
    """Labels images head by head.

    Attributes:
        known: what the run said of groups on which it was not trained.
        images: what it says of those without labels.
        settings: what a head must be sure of.
        seed: of the folds and intervals.
    """

    known: OutOfFold
    images: Unlabelled
    settings: PseudoSettings
    seed: int

    @property
    def space(self) -> LabelSpace:
        """The label space."""
        return self.known.space

    def label(self) -> tuple[IntArray, tuple[HeadReport, ...]]:
        """(N, T) labels, ``MISSING`` where a head is not sure, and a report for each head."""
        probs = self.images.probs(self.space)
        found = {name: self._head(name, probs[name]) for name in self.space.task_names}
        labels = np.stack([head.labels for head in found.values()], axis=1)
        labels = without_impossible(labels, probs, self.space)
        reports = []
        for column, (task, head) in enumerate(zip(self.space.tasks, found.values(), strict=True)):
            counts = np.bincount(labels[labels[:, column] != MISSING, column], minlength=task.num_classes)
            reports.append(head.report(task.name, dict(zip(task.classes, counts.tolist(), strict=True))))
        return labels, tuple(reports)

    def prior(self, name: str) -> tuple[PriorEstimate | None, str]:
        """The label prior of the images, of a task or of ``joint``; None, and why, where it is not identifiable."""
        images = self.images
        pooled = bool(images.pooled.any())
        return prior_of(self.known, name, images.class_probs, images.group_indices, self.seed, pooled=pooled)

    def _head(self, name: str, probs: FloatArray) -> _Head:
        classes = self.space.tasks[self.space.task_names.index(name)].classes
        prior, why = self.prior(name)
        shift = None if prior is None else prior.log_ratio()
        pooled = self.images.pooled
        parts = [
            ()
            if answered is None or not some.any()
            else _thresholds(answered[name], name, classes, self.settings, self.seed, shift)
            for answered, some in ((self.known.single, ~pooled), (self.known.grouped, pooled))
        ]
        rows = [np.array([np.nan if row.threshold is None else row.threshold for row in part]) for part in parts]
        empty = np.full(len(classes), np.nan)
        alone, of_groups = (row if len(row) else empty for row in rows)
        sure = sure_labels(probs, np.where(pooled[:, None], of_groups, alone))
        labels = sure
        if prior is not None and self.settings.balance == "prior":
            labels = balanced(sure, probs, np.array(prior.prior))
        counts = np.bincount(sure[sure != MISSING], minlength=len(classes))
        return _Head(labels, parts[0], parts[1], prior, why, dict(zip(classes, counts.tolist(), strict=True)))


def thresholds_at_any_prior(
    known: OutOfFold, settings: PseudoSettings, seed: int, *, alone: bool, of_groups: bool
) -> list[tuple[str, LabelThreshold]]:
    """Each task with the threshold of each of its labels while nothing is known of the images.

    Their prior can only take labels away: of a label that has no threshold here, a head will be sure of no image.

    Args:
        known: as of ``Labeller``.
        settings: likewise.
        seed: likewise.
        alone: whether images may be answered by themselves.
        of_groups: whether they may be answered as members of their groups.
    """
    parts = [known.single if alone else None, known.grouped if of_groups else None]
    return [
        (task.name, row)
        for task in known.space.tasks
        for answered in parts
        if answered is not None
        for row in _thresholds(answered[task.name], task.name, task.classes, settings, seed)
    ]


def _thresholds(
    answered: Answered,
    name: str,
    classes: tuple[str, ...],
    settings: PseudoSettings,
    seed: int,
    shift: FloatArray | None = None,
) -> tuple[LabelThreshold, ...]:
    return find_thresholds(answered, classes, settings, derive(seed, name, "thresholds"), shift)


@dataclass(frozen=True, eq=False)
class _Head:
    """What one head gives N images: (N,) labels, and why."""

    labels: IntArray
    single: tuple[LabelThreshold, ...]
    grouped: tuple[LabelThreshold, ...]
    prior: PriorEstimate | None
    why_no_prior: str
    sure: Mapping[str, int]

    def report(self, task: str, given: dict[str, int]) -> HeadReport:
        return HeadReport(
            task=task,
            pooled=bool(self.grouped),
            labels=self.single,
            group_labels=self.grouped,
            prior=self.prior,
            why_no_prior=self.why_no_prior,
            given=given,
            sure=dict(self.sure),
        )
