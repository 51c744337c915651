"""The rows of a table of very many classes."""

from __future__ import annotations

from collections.abc import Sequence

from multitask.evaluation.scores import ClassScores
from multitask.utils.spelling import plural


def worst_classes(classes: Sequence[ClassScores], most: int) -> list[ClassScores]:
    """Of the classes that occur those of the lowest F1, of equals those of the most images."""
    there = (row for row in classes if row.support)
    return sorted(there, key=lambda row: (row.f1, -row.support))[:most]


def listed_in_words(classes: Sequence[ClassScores], most: int) -> str:
    """How many of the classes ``worst_classes`` lists."""
    there = sum(row.support > 0 for row in classes)
    if not there:
        return f"None of the {len(classes):,} classes occurs here."
    which = f"The {plural(there, 'class', 'classes')}"
    if there > most:
        which = f"The {most:,} worst of the {there:,} classes"
    return f"{which} that {'occurs' if there == 1 else 'occur'} here, of {len(classes):,} in all."
