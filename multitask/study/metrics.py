"""The figures of a report, by dotted keys: what a study can be asked to improve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from multitask.labels import LabelSpace
from multitask.utils.files import plain


def report_metrics(space: LabelSpace) -> tuple[str, ...]:
    """Every number that ``report.json`` says of the answers, as a dotted key; lists go by place, from 0."""
    import torch

    from multitask.evaluation.predictions import Predictions
    from multitask.evaluation.summary import summarise

    # What a report holds follows from the label space alone: that of one picture of each class has it all.
    classes = np.flatnonzero(space.possible)
    labels = space.decode(classes)
    log_probs = {
        task.name: torch.log_softmax(9.0 * torch.eye(task.num_classes)[torch.from_numpy(column)], dim=1)
        for task, column in zip(space.tasks, labels.T, strict=True)
    }
    names = np.array([str(index) for index in classes], dtype=object)
    predictions = Predictions(space, space, names, names, labels, log_probs, classes, numbers=labels.astype(float))
    centres = {task.name: range(task.num_classes) for task in space.tasks if task.kind == "binned"}
    return tuple(_numbers(plain(summarise(predictions, {}, 0, centres=centres)), ""))


def _numbers(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _numbers(item, f"{path}.{index}")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path


def figure(report: Any, metric: str) -> float | None:
    """The figure of a report at a dotted key; None where it has none."""
    value = report
    for key in metric.split("."):
        if value is None:
            return None
        value = value[int(key)] if isinstance(value, list) else value.get(key)
    return None if value is None else float(value)


def figures_in_words(figures: Mapping[str, float | None]) -> str:
    """``joint.macro_f1 0.5123, joint.ece 0.04``."""
    return ", ".join(f"{metric} {'unknown' if value is None else f'{value:.4g}'}" for metric, value in figures.items())
