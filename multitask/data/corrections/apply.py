"""Samples with corrections applied, and the record of what was changed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multitask.data.corrections.finder import Finder
from multitask.data.corrections.label_value import LabelValue
from multitask.data.corrections.record import CorrectionsRecord, Entry
from multitask.data.corrections.settings import DROP, TIERS, Correction, CorrectionsSettings, read_corrections
from multitask.data.samples import SIDES, Samples
from multitask.errors import UserError
from multitask.labels import MISSING, Task


@dataclass(frozen=True)
class Corrected:
    """The outcome of corrections.

    Attributes:
        samples: with the corrected labels, without dropped images.
        kept: (N,) which of the images these are: all but those that are dropped.
        record: for the run's folder.
    """

    samples: Samples
    kept: NDArray[np.int64]
    record: CorrectionsRecord


def correct(samples: Samples, settings: CorrectionsSettings) -> Corrected:
    """The samples with the corrections of a config.

    Raises:
        UserError: a file is malformed, or one of its corrections does not fit the data; the line names it.
    """
    tiers = TIERS[: TIERS.index(settings.tier) + 1]
    chosen = [
        (file, where, correction)
        for file in settings.files
        for where, correction in read_corrections(Path(file))
        if correction.tier in tiers
    ]
    finder = Finder(samples, [correction for _, _, correction in chosen])
    labels, numbers = samples.labels.copy(), samples.numbers.astype(np.float64)
    kept = np.ones(len(samples), dtype=bool)
    changed = np.zeros(labels.shape, dtype=bool)
    applied: list[Entry] = []
    absent: list[Entry] = []
    of_test: list[Entry] = []
    for file, where, correction in chosen:
        entry: Entry = {"file": file, **correction.model_dump(mode="json", by_alias=True, exclude_defaults=True)}
        try:
            rows = finder.rows(correction)
            lacking = finder.lacking(correction, rows)
            if lacking:
                if settings.missing == "error":
                    raise UserError(lacking)
                absent.append(entry)
                continue
            if not settings.test and samples.sides is not None:
                rows = rows[samples.sides[rows] != SIDES.index("test")]
                if not len(rows):
                    of_test.append(entry)
                    continue
            if correction.field == DROP:
                kept[rows] = False
            else:
                rows = _relabel(samples, correction, rows, labels, numbers, changed)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        applied.append({**entry, "num_images": len(rows)})
    corrected = replace(samples, labels=labels, numbers=numbers)
    if not kept.any():
        raise UserError("data.corrections: drop every image")
    corrected = corrected if kept.all() else corrected.take(np.flatnonzero(kept))
    corrected.check_possible()
    record = CorrectionsRecord(settings.tier, tuple(applied), tuple(absent), tuple(of_test) or None)
    return Corrected(corrected, np.flatnonzero(kept), record)


def _relabel(
    samples: Samples,
    correction: Correction,
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    numbers: NDArray[np.float64],
    changed: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Corrects, in place, the labels and numbers of those of ``rows`` that have the wrong label; returns these rows."""
    column = samples.space.task_names.index(correction.field)
    task = samples.space.tasks[column]
    old, new = LabelValue(task, str(correction.from_)), LabelValue(task, str(correction.to))
    ways = [(old, new), (new, old)] if correction.both else [(old, new)]
    found = [
        rows[wrong.holds(samples.labels[rows, column], samples.numbers[rows, column].astype(np.float64))]
        for wrong, _ in ways
    ]
    those = np.concatenate(found)
    if not len(those):
        has = " and ".join(sorted({_label_text(task, samples, row, column) for row in rows}))
        must = " or ".join(repr(wrong.text) for wrong, _ in ways)
        raise UserError(f"{correction.field} of {correction.about} must be {must}, found {has}")
    if changed[those, column].any():
        image = samples.images[those[np.argmax(changed[those, column])]]
        raise UserError(f"{correction.field} of {image!r} is corrected by another one too")
    changed[those, column] = True
    for (_, right), some in zip(ways, found, strict=True):
        if len(some):
            labels[some, column], numbers[some, column] = right.label(), right.number
    return those


def _label_text(task: Task, samples: Samples, row: int, column: int) -> str:
    """An image's label as an error quotes it."""
    number, label = samples.numbers[row, column], samples.labels[row, column]
    if task.kind == "binned" and not math.isnan(number):
        return format(number, "g")
    return "nothing" if label == MISSING else repr(task.classes[label])
