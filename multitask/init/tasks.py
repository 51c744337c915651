"""Tasks of columns of words: classes in a sensible order, or edges of numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multitask.data.sentinels import sentinels
from multitask.data.sources.columns import parse_numbers
from multitask.init.edges import find_edges
from multitask.init.words import is_number
from multitask.labels import MISSING
from multitask.labels.settings import BinnedSettings
from multitask.utils.spelling import parse_number
from multitask.utils.strings import Strings

_RANK = re.compile(r"\D*?(\d+(?:\.\d+)?)")
_ORDERS = (
    ("low", "medium", "high"), ("small", "medium", "large"), ("xs", "s", "m", "l", "xl", "xxl"), ("none", "mild",
    "moderate", "severe", "proliferative"), ("never", "rarely", "sometimes", "often", "always"), ("bad", "poor", "fair",
    "good", "excellent"), ("baby", "infant", "child", "teenager", "young", "adult", "middle", "senior", "old"),
)  # fmt: skip
"""Words that are in order, in lower case."""


@dataclass(frozen=True)
class FoundTask:
    """A task that a column makes.

    Attributes:
        name: of the task.
        column: whose words it is of.
        kind: ``nominal``, ``ordinal`` or ``binned``.
        classes: the names.
        edges: where it is binned.
        labels: (N,) indices of the images' classes, ``MISSING`` where unknown.
        unknown: numbers that stand for none, as -1.
    """

    name: str
    column: str
    kind: str
    classes: tuple[str, ...]
    edges: tuple[float, ...]
    labels: NDArray[np.int64]
    unknown: tuple[float, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """The images of each class."""
        found = np.bincount(self.labels[self.labels != MISSING], minlength=len(self.classes))
        return dict(zip(self.classes, found.tolist(), strict=True))

    def settings(self) -> dict[str, object]:
        """Its section in ``labels.tasks``."""
        if self.kind == "binned":
            return {"kind": "binned", "edges": [int(edge) if edge.is_integer() else edge for edge in self.edges]}
        return {**({} if self.kind == "nominal" else {"kind": self.kind}), "classes": list(self.classes)}


def binned_task(name: str, column: str, words: Strings, edges: tuple[float, ...] = ()) -> FoundTask | None:
    """A task of numbers, with the given edges or with those that part them; None where none does."""
    numbers = parse_numbers(words.distinct())[words.numbers()]
    known = numbers[~np.isnan(numbers)]
    codes = tuple(sentinels(known))
    known = known[~np.isin(known, codes)]
    edges = edges or (find_edges(known) if len(known) else ())
    if not edges:
        return None
    labels = np.searchsorted(edges, np.where(np.isnan(numbers), 0.0, numbers), side="right").astype(np.int64)
    labels[np.isnan(numbers) | np.isin(numbers, codes)] = MISSING
    return FoundTask(name, column, "binned", BinnedSettings(edges=edges).names(), edges, labels, codes)


def class_task(name: str, column: str, words: Strings, order: Sequence[str] = ()) -> FoundTask:
    """A task of names, in the given order, or in that which their words say."""
    distinct = words.distinct()
    classes, kind = (tuple(order), "nominal") if order else _ordered(tuple(filter(None, distinct)))
    if order and _ordered(classes)[1] == "ordinal":
        kind = "ordinal"
    index = {label: number for number, label in enumerate(classes)}
    labels = np.array([index.get(word, MISSING) for word in distinct], dtype=np.int64)[words.numbers()]
    return FoundTask(name, column, kind, classes, (), labels)


def _ordered(classes: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Classes in order, and whether it means anything (``ordinal``)."""
    lower = {label.casefold(): label for label in classes}
    for words in _ORDERS:
        if len(classes) > 2 and set(lower) <= set(words):
            return tuple(lower[word] for word in words if word in lower), "ordinal"
    ranks = [_RANK.match(label) for label in classes]
    if len(classes) > 2 and all(ranks):
        key = {
            label: (float(rank[1]), not label.startswith("<"), label)
            for label, rank in zip(classes, ranks, strict=True)
            if rank
        }
        plain = all(map(is_number, classes))
        ranges = all(
            re.search(r"\d\s*(-|–|to)\s*\d|[<>+]|more|less|over|under|older|younger", label) for label in classes
        )
        return tuple(sorted(classes, key=key.__getitem__)), "ordinal" if ranges and not plain else "nominal"
    numeric = all(map(is_number, classes))
    return tuple(sorted(classes, key=parse_number if numeric else None)), "nominal"
