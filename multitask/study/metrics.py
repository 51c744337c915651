"""The figures of a report, by dotted paths: what a study can be asked to improve."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from multitask.errors import did_you_mean
from multitask.evaluation.metrics import MATRIX_CLASSES, NUM_BINS
from multitask.evaluation.report_schema import Summary
from multitask.labels import LabelSpace
from multitask.utils.records import number_paths, value_at

_PARTS = ("num_images", "num_groups", "joint", "tasks", "attribution")
"""Of a report, those that say something of every network's answers."""

_MAIN = ("macro_f1", "accuracy")
"""The scores that are named where nothing near was typed."""


def report_metrics(space: LabelSpace) -> tuple[str, ...]:
    """The path of every number that ``report.json`` says of the answers, as ``tasks.age.classes.0.f1``."""
    sizes = {f"tasks.{task.name}": int(space.possible_labels(task.name).sum()) for task in space.tasks}
    sizes["joint"] = int(space.possible.sum())
    numbered = {f"tasks.{task.name}" for task in space.tasks if task.kind == "binned"}

    def keys(path: tuple[str, ...]) -> Iterable[object]:
        if path[0] not in _PARTS:
            return ()
        if path[-1] in ("tasks", "perfect", "lost"):
            return space.task_names
        if path[-1] == "reliability":
            return range(NUM_BINS)
        return range(sizes[_labelling(path)])  # a row for each class; of a confusion matrix a column too

    def occurs(path: tuple[str, ...]) -> bool:
        if "number" in path[1:]:
            return _labelling(path) in numbered
        if "confusion" in path[1:]:
            sparse = sizes[_labelling(path)] > MATRIX_CLASSES
            return sparse == (path[-1] == "num_classes" or "entries" in path)
        return path[0] in _PARTS

    found = (tuple(name.split(".")) for name in number_paths(Summary, keys))
    return tuple(".".join(path) for path in found if occurs(path))


def figure_hint(metric: str, metrics: Iterable[str]) -> str:
    """A hint for a figure that no report has: of a class or a bin only where its number was typed.

    >>> known = ("joint.macro_f1", "joint.accuracy", "joint.ece", "joint.classes.0.f1", "tasks.age.macro_f1")
    >>> figure_hint("joint.loss", known)
    "; did you mean 'joint.macro_f1' or 'joint.accuracy'?"
    >>> figure_hint("age.macrof1", known)
    "; did you mean 'tasks.age.macro_f1'?"
    """
    metrics = tuple(metrics)
    if _is_numbered(metric) and (near := difflib.get_close_matches(metric, metrics, cutoff=0.85)):
        return did_you_mean(near)
    # Place and word apart: names of one place are alike by the place alone.
    words: dict[str, list[str]] = {}
    for name in metrics:
        if not _is_numbered(name):
            words.setdefault(name.rpartition(".")[0], []).append(name.rpartition(".")[2])
    spellings = {spelling: known for known in words for spelling in (known, known.rpartition(".")[2])}
    place, _, word = (metric, ".", "") if metric in spellings else metric.rpartition(".")
    places = [spellings[near] for near in difflib.get_close_matches(place, spellings)]
    similar = [f"{known}.{near}" for known in places for near in difflib.get_close_matches(word, words[known])]
    elsewhere = [f"{known}.{word}" for known in words if word in words[known]]
    main = [f"{known}.{name}" for known in (*places, "joint") for name in _MAIN if name in words.get(known, ())]
    return did_you_mean([*dict.fromkeys(similar or elsewhere or main)][:2])


def _is_numbered(metric: str) -> bool:
    return any(part.isdigit() for part in metric.split("."))


def _labelling(path: tuple[str, ...]) -> str:
    return "joint" if path[0] == "joint" else ".".join(path[:2])


def figure(report: Any, metric: str) -> float | None:
    """The figure of a report at a dotted path; None where it has none."""
    try:
        value = value_at(report, metric)
    except LookupError:
        return None
    return None if value is None else float(value)


def figures_in_words(figures: Mapping[str, float | None]) -> str:
    """``joint.macro_f1 0.5123, joint.ece 0.04``."""
    return ", ".join(f"{metric} {'unknown' if value is None else f'{value:.4g}'}" for metric, value in figures.items())
