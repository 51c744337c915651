"""Runs side by side: what differed in settings, and whether the scores differ beyond the choice of groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from multitask.config import HeadSettings
from multitask.errors import UserError
from multitask.evaluation.intervals import LEVEL, Difference, interval, resample
from multitask.evaluation.metrics import IntArray, Scores
from multitask.evaluation.predictions import Predictions
from multitask.labels import MISSING
from multitask.settings import flatten

CHECKPOINT_STEPS = "training.checkpoint_steps"
PARALLEL = "training.parallel"
OF_THE_MACHINE = (
    "device", "data.root", "data.workers", "data.cache", "data.cache_dir", CHECKPOINT_STEPS, PARALLEL
)  # fmt: skip
"""Settings that say where and how fast a run is computed, and not what."""

TRACKING = "tracking"


def differing_settings(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The settings that are not the same in all: dotted key -> the value in each, None where it has no such key.

    Those of the machine are left out, whom a run told its scores, and of heads that one does not have (a flat head
    stands for all) what the others leave at its default.
    """
    plain = flatten(HeadSettings().model_dump(mode="json"))
    flat = [flatten(config) for config in configs]
    keys = dict.fromkeys(key for one in flat for key in one if key not in (*OF_THE_MACHINE, TRACKING))
    values = {key: [one.get(key) for one in flat] for key in keys}
    return {
        key: row
        for key, row in values.items()
        if any(value != row[0] for value in row) and not _is_default_of_lacking_head(key, row, configs, plain)
    }


def _is_default_of_lacking_head(
    key: str, row: Sequence[Any], configs: Sequence[Mapping[str, Any]], plain: Mapping[str, Any]
) -> bool:
    section, _, rest = key.partition(".")
    head, _, setting = rest.partition(".")
    if section != "heads" or setting not in plain or all(head in config["heads"] for config in configs):
        return False
    return all(value in (None, plain[setting]) for value in row)


def paired_differences(
    names: Sequence[str], predictions: Sequence[Predictions], seed: int = 0, level: float = LEVEL
) -> list[Difference]:
    """Every run after the first against the first: joint macro-F1 and accuracy, and each task's macro-F1.

    Args:
        names: of the runs.
        predictions: of the runs, for the same split.
        seed: of the resampling.
        level: of each interval; where several runs are compared, one above .95 makes .95 for all of them together.

    Raises:
        UserError: the label spaces differ, or two runs share no images that both did not train on.
    """
    first = predictions[0]
    found = []
    for name, other in zip(names[1:], predictions[1:], strict=True):
        if other.space != first.space:
            raise UserError(f"{name}: has another label space than {names[0]}; their scores do not compare")
        places = {image: row for row, image in enumerate(first.images)}
        rows = np.array([row for row, image in enumerate(other.images) if image in places], dtype=np.int64)
        if not len(rows):
            raise UserError(
                f"{name}: shares no images with {names[0]}: they were split by other seeds or folds, or have other data"
            )
        base_rows = np.array([places[image] for image in other.images[rows]])
        if (first.labels[base_rows] != other.labels[rows]).any():
            raise UserError(f"{name}: was scored on other labels than {names[0]}; their scores do not compare")
        groups = np.unique(other.groups[rows].astype(str), return_inverse=True)[1]
        for metric, given, base, new, declared in _labellings(first, other, base_rows, rows):
            known = given != MISSING
            if not known.any():
                continue
            given, present = given[known], np.unique(groups[known], return_inverse=True)[1]
            key = metric.rpartition(".")[2]
            points, resamples = [], []
            for guess in (base[known], new[known]):
                points.append(getattr(Scores(given, guess, declared), key))
                resamples.append(getattr(resample(given, guess, present, declared, seed), key))
            low, high = interval(resamples[1] - resamples[0], level)
            difference = points[1] - points[0]
            found.append(Difference(name, metric, len(given), int(present.max()) + 1, difference, low, high))
    return found


def _labellings(first: Predictions, other: Predictions, base_rows: IntArray, rows: IntArray) -> Any:
    """(metric, given, the first run's guesses, the other's, declared classes) of everything that is compared."""
    space = first.space
    joint = (first.classes[base_rows], first.predicted[base_rows], other.predicted[rows], space.possible)
    yield "joint.macro_f1", *joint
    yield "joint.accuracy", *joint
    base, new = first.task_log_probs(), other.task_log_probs()
    for column, task in enumerate(space.tasks):
        yield (
            f"tasks.{task.name}.macro_f1",
            first.labels[base_rows, column],
            base[task.name].argmax(dim=1).numpy()[base_rows],
            new[task.name].argmax(dim=1).numpy()[rows],
            space.possible_labels(task.name),
        )
