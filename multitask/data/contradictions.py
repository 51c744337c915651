"""Groups whose images contradict a task that is declared to be per group: refused, or settled as a setting says."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from multitask.data.per_group import contradicted
from multitask.data.samples import Samples
from multitask.errors import UserError
from multitask.labels import MISSING

ContradictionsName = Literal["error", "majority", "drop", "keep"]

_NAMED = 3


def settle_contradictions(samples: Samples, rule: ContradictionsName) -> tuple[Samples, NDArray[np.int64]]:
    """The samples with no group that contradicts what is declared, but where it is to be kept.

    Args:
        samples: N, which may contradict.
        rule: error: groups that do are refused; majority: their images get the label that most of them have, and where
            two are as frequent none; drop: their images are left out; keep: they stay as they are.

    Returns:
        The samples, with a note for each task that groups contradict, and (M,) which of the N they are, ascending.

    Raises:
        UserError: a group contradicts what is declared, and none may; or all are dropped; or the majority's label makes
            a class that cannot occur.
    """
    if not any(task.per_group for task in samples.space.tasks):
        return samples, np.arange(len(samples))
    groups = samples.group_indices()
    labels, numbers = samples.labels.copy(), samples.numbers.astype(np.float64)
    kept = np.ones(len(samples), dtype=bool)
    notes = []
    for column, task in enumerate(samples.space.tasks):
        wrong = contradicted(labels[:, column], groups) if task.per_group else np.empty(0, dtype=np.int64)
        if not len(wrong):
            continue
        found = _in_words(samples, groups, wrong)
        if rule == "error":
            raise UserError(
                f"labels.tasks.{task.name}.per_group: is true, but {found}; correct them (data.corrections), let "
                "data.contradictions say what is done (majority, drop or keep), or leave per_group out"
            )
        if rule == "majority":
            for group in wrong:
                _settle(labels[:, column], numbers[:, column], np.flatnonzero(groups == group))
        elif rule == "drop":
            kept &= ~np.isin(groups, wrong)
        notes.append(f"labels.tasks.{task.name}.per_group: {found} ({_DONE[rule]})")
    if not kept.any():
        raise UserError("data.contradictions: drop leaves no image: every group contradicts what is per group")
    rows = np.flatnonzero(kept)
    if not notes:
        return samples, rows
    settled = replace(samples, labels=labels, numbers=numbers, notes=(*samples.notes, *notes)).take(rows)
    if rule == "majority":
        _check_possible(settled)
    return settled, rows


_DONE = {
    "majority": "they get the label that most of their images have, and none where two are as frequent",
    "drop": "their images are left out",
    "keep": "they are kept as they are",
}


def _check_possible(settled: Samples) -> None:
    try:
        settled.check_possible()
    except UserError as error:
        raise UserError(
            f"data.contradictions: the majority of a group gives an image a label that it cannot have: {error}; "
            "correct it (data.corrections), or let data.contradictions be drop or keep"
        ) from None


def _settle(labels: NDArray[np.int64], numbers: NDArray[np.float64], rows: NDArray[np.int64]) -> None:
    """Gives the labelled images of one group, at ``rows``, its most frequent label; in place."""
    rows = rows[labels[rows] != MISSING]
    counts = np.bincount(labels[rows])
    most = int(counts.argmax()) if (counts == counts.max()).sum() == 1 else MISSING
    changed = rows[labels[rows] != most]
    labels[changed], numbers[changed] = most, np.nan  # the number that was given is another label's


def _in_words(samples: Samples, groups: NDArray[np.int64], wrong: NDArray[np.int64]) -> str:
    first = [str(samples.groups[np.argmax(groups == group)]) for group in wrong[:_NAMED]]
    more = f" and {len(wrong) - _NAMED:,} more" if len(wrong) > _NAMED else ""
    many = "a group has" if len(wrong) == 1 else f"{len(wrong):,} groups have"
    return f"{many} images with different labels: {', '.join(first)}{more}"
