"""Label audit: given labels that the out-of-fold predictions contradict, by image and by group.

Every image was predicted by a network that was not trained on it, so a label that its probabilities contradict is
suspect, by confident learning. A task that is constant within every group (the gender of a person, but not whether they
wear a mask) is judged group by group on the evidence of all the group's images together, and the suspect is then the
group.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from multitask.data.per_group import shares_constant as shares_of_groups
from multitask.errors import UserError, nearest
from multitask.evaluation.confident_learning import Judged, Rank
from multitask.evaluation.group_pooling import LOWEST, Pooling
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.suspects import Audit, Change, HeadAudit, Suspect
from multitask.labels import JOINT, MISSING

NEARLY = 0.95
"""A task that is constant in this share of the groups, and not in all, is worth a word: the others may be errors."""


def shares_constant(predictions: Predictions) -> dict[str, float]:
    """Per task, the share of the groups whose labels agree, of those with two labelled images or more.

    Tasks of which no group has two labelled images are left out.
    """
    return shares_of_groups(predictions.space, predictions.labels, predictions.group_indices())


def find_suspects(
    predictions: Predictions,
    *,
    constant: Collection[str] | None = None,
    rank: Rank = "self_confidence",
    settled: NDArray[np.bool_] | None = None,
) -> Audit:
    """The labels that the out-of-fold predictions contradict.

    Args:
        predictions: out of fold, of all groups.
        constant: the tasks that must be constant within a group; None: those that are in the given labels.
        rank: what suspects are ranked by.
        settled: (N, T) bool, labels that were reviewed already, which are no suspects; None: there are none.

    Raises:
        UserError: ``constant`` names no task.
    """
    space = predictions.space
    shares = shares_constant(predictions)
    if constant is None:
        chosen = tuple(task for task in space.task_names if shares.get(task) == 1)
    else:
        for task in constant:
            if task not in space.task_names:
                raise UserError(f"--constant {task}: is no task{nearest(task, space.task_names)}")
        chosen = tuple(task for task in space.task_names if task in constant)
    nearly = {task: share for task, share in shares.items() if task not in chosen and NEARLY <= share < 1}
    settled = np.zeros(predictions.labels.shape, dtype=bool) if settled is None else settled
    finder = _Finder(predictions, chosen, rank, settled)
    rows, suspects = [], []
    for task in space.task_names:
        head, found = finder.of_task(task)
        rows.append(head)
        suspects += found
    if space.num_tasks > 1:
        head, found = finder.of_joint()
        said = {change for suspect in suspects for change in suspect.changes}
        found = [suspect for suspect in found if not said.issuperset(suspect.changes)]
        rows.append(replace(head, num_listed=len(found), num_sure=sum(suspect.is_sure for suspect in found)))
        suspects += found
    return Audit(
        tuple(rows), tuple(sorted(suspects, key=lambda suspect: (suspect.head == JOINT, suspect.score))), chosen, nearly
    )


class _Finder:
    """Goes through the heads of one table of predictions."""

    def __init__(
        self, predictions: Predictions, constant: tuple[str, ...], rank: Rank, settled: NDArray[np.bool_]
    ) -> None:
        self.predictions = predictions
        self.space = predictions.space
        self.constant = constant
        self.rank = rank
        self.settled = settled
        self.groups = predictions.group_indices()
        self.log_probs = {task: values.numpy() for task, values in predictions.task_log_probs().items()}
        self.shifts: dict[str, FloatArray] = {}
        """Per constant task, (N, C_t): what the rest of a group adds to what one of its images says."""

    def of_task(self, task: str) -> tuple[HeadAudit, list[Suspect]]:
        """The suspects of one task."""
        column = self.space.task_names.index(task)
        names = self.space.tasks[column].classes
        labels, log_probs = self.predictions.labels[:, column], self.log_probs[task]
        pooled = task in self.constant
        units = self.groups if pooled else np.arange(len(labels))
        given, disagrees = _majority(labels, units, len(names))
        pooling = Pooling.fit(log_probs, units, given)
        probs = pooling.probs(log_probs, units)
        if pooled:
            self.shifts[task] = np.log(np.maximum(probs[units], 1e-13)) - np.maximum(log_probs, LOWEST)
        judged = Judged(probs, given, pooling, self.rank)
        settled = np.bincount(units, self.settled[:, column]) > 0
        suspects = []
        for unit in np.flatnonzero((judged.flagged | disagrees) & ~settled).tolist():
            rows = np.flatnonzero(units == unit)
            there = sorted({*labels[rows].tolist()} - {MISSING})
            # Where the images do not agree, what the evidence says is right, be it the label of most of them.
            best = int(probs[unit].argmax()) if disagrees[unit] else judged.suggested(unit)
            where = str(self.predictions.groups[rows[0]] if pooled else self.predictions.images[rows[0]])
            changes = tuple(Change(where, task, names[label], names[best]) for label in there if label != best)
            texts = " and ".join(names[label] for label in there), names[best]
            suspects.append(self._suspect(task, rows, texts, judged, unit, best, changes, bool(disagrees[unit])))
        return self._head(task, "group" if pooled else "image", judged, units, suspects), suspects

    def of_joint(self) -> tuple[HeadAudit, list[Suspect]]:
        """The suspects of the class as a whole, image by image; what is constant in a group has its evidence."""
        given, space = self.predictions.classes, self.space
        joint = self.predictions.joint_log_probs().numpy().copy()
        cells = space.decode(np.arange(space.num_classes))
        for task, shift in self.shifts.items():
            joint += shift[:, cells[:, space.task_names.index(task)]]
        possible = np.flatnonzero(space.possible)
        cells, joint = cells[possible], joint[:, possible]
        joint -= np.logaddexp.reduce(joint, axis=1, keepdims=True)
        given = np.where(given == MISSING, MISSING, np.searchsorted(possible, given))
        units = np.arange(len(given))
        pooling = Pooling.fit(joint, units, given)
        judged = Judged(pooling.probs(joint, units), given, pooling, self.rank)
        names = [space.class_names[index] for index in possible]
        suspects = []
        for row in np.flatnonzero(judged.flagged & ~self.settled.any(axis=1)).tolist():
            best = judged.suggested(row)
            changes = tuple(
                Change(
                    str((self.predictions.groups if task.name in self.constant else self.predictions.images)[row]),
                    task.name,
                    task.classes[old],
                    task.classes[new],
                )
                for task, old, new in zip(space.tasks, cells[given[row]], cells[best], strict=True)
                if old != new
            )
            texts = names[given[row]], names[best]
            suspects.append(self._suspect(JOINT, np.array([row]), texts, judged, row, best, changes))
        return self._head(JOINT, "image", judged, units, suspects), suspects

    def _head(
        self, head: str, unit: Literal["group", "image"], judged: Judged, units: IntArray, suspects: list[Suspect]
    ) -> HeadAudit:
        """The row of a head; ``units`` are (N,) those of the images."""
        known = judged.given != MISSING
        num = int(known.sum())
        accuracy = commonest = math.nan
        beats = False
        if num:
            given = judged.given[known]
            right = judged.probs[known].argmax(axis=1) == given
            fixed = given == np.bincount(given).argmax()
            accuracy, commonest = float(right.mean()), float(fixed.mean())
            firsts = np.unique(units, return_index=True)[1]  # a unit is of one group, whichever of its images tells
            beats = _is_above(right.astype(float) - fixed, self.groups[firsts][known])
        sure = sum(suspect.is_sure for suspect in suspects)
        return HeadAudit(
            head, unit, num, len(suspects), len(suspects), sure, accuracy, commonest, beats, judged.pooling
        )

    def _suspect(
        self,
        head: str,
        rows: IntArray,
        texts: tuple[str, str],
        judged: Judged,
        unit: int,
        best: int,
        changes: tuple[Change, ...],
        disagrees: bool = False,
    ) -> Suspect:
        return Suspect(
            head,
            str(self.predictions.groups[rows[0]]),
            tuple(str(image) for image in self.predictions.images[rows]),
            *texts,
            float(judged.scores[unit]),
            float(judged.probs[unit, judged.given[unit]]),
            float(judged.confidence[unit, best]),
            disagrees,
            changes,
        )


def _is_above(differences: FloatArray, groups: IntArray) -> bool:
    """Whether the mean of (U,) differences is above 0 beyond noise, where (U,) groups are drawn and not units."""
    mean = differences.mean()
    sums = np.bincount(groups, differences - mean)
    error = math.sqrt(float((sums**2).sum())) / len(differences)
    return bool(mean > 1.96 * error) and bool(mean > 0)


def _majority(labels: IntArray, units: IntArray, num_labels: int) -> tuple[IntArray, NDArray[np.bool_]]:
    """The (U,) label that most images of each unit have, ``MISSING`` where none has any, and whether some differ."""
    known = labels != MISSING
    num_units = int(units.max()) + 1
    counts = np.bincount(units[known] * num_labels + labels[known], minlength=num_units * num_labels)
    counts = counts.reshape(num_units, num_labels)
    return np.where(counts.any(axis=1), counts.argmax(axis=1), MISSING), (counts > 0).sum(axis=1) > 1
