"""The figures of a report, from predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multitask.evaluation.attribution import attribute
from multitask.evaluation.intervals import interval, resample
from multitask.evaluation.metrics import (
    FloatArray,
    IntArray,
    Scores,
    calibration_error,
    confusion_table,
    reliability,
)
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.regression_error import number_figures
from multitask.labels import MISSING, LabelSpace


def _negative_log_likelihood(log_probs: Tensor, labels: IntArray) -> float:
    known = labels != MISSING
    if not known.any():
        return float("nan")
    rows = torch.from_numpy(np.flatnonzero(known))
    return float(-log_probs[rows, torch.from_numpy(labels[known])].mean())


def epoch_scores(predictions: Predictions) -> dict[str, Any]:
    """The few figures that are taken after every epoch.

    Returns:
        ``loss`` (mean negative log-likelihood of the class), ``joint`` and ``tasks.<name>``: macro_f1, accuracy, loss.
    """
    space = predictions.space
    classes = predictions.classes
    known = classes != MISSING
    joint = Scores(classes[known], predictions.predicted[known], space.possible)
    joint_log_probs = predictions.joint_log_probs()
    loss = _negative_log_likelihood(joint_log_probs, classes)
    tasks = {}
    for column, (task, log_probs) in enumerate(space.marginal_log_probs(joint_log_probs).items()):
        labels = predictions.labels[:, column]
        seen = labels != MISSING
        scores = Scores(labels[seen], log_probs.argmax(dim=1).numpy()[seen], space.possible_labels(task))
        tasks[task] = {
            "loss": _negative_log_likelihood(log_probs, labels),
            "macro_f1": scores.macro_f1,
            "accuracy": scores.accuracy,
        }
    return {
        "loss": loss,
        "joint": {"loss": loss, "macro_f1": joint.macro_f1, "accuracy": joint.accuracy},
        "tasks": tasks,
    }


def _class_rows(scores: Scores, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """A row for each declared class: what cannot occur stands in no table."""
    columns = (names, scores.support, scores.precision, scores.recall, scores.f1)
    return [
        {"name": name, "support": int(n), "precision": float(p), "recall": float(r), "f1": float(f)}
        for here, name, n, p, r, f in zip(scores.declared, *columns, strict=True)
        if here
    ]


def _confusion(given: IntArray, predicted: IntArray, declared: NDArray[np.bool_]) -> Any:
    """``confusion_table`` of the declared classes."""
    places = np.cumsum(declared) - 1
    here = declared[given] & declared[predicted]
    return confusion_table(places[given[here]], places[predicted[here]], int(declared.sum()))


def _figures(
    given: IntArray,
    predicted: IntArray,
    confidence: FloatArray,
    groups: IntArray,
    names: tuple[str, ...],
    declared: NDArray[np.bool_],
    seed: int,
) -> dict[str, Any]:
    """All that a report says of one labelling: of the classes, or of one task's labels."""
    known = given != MISSING
    given, predicted, confidence = given[known], predicted[known], confidence[known]
    present, groups = np.unique(groups[known], return_inverse=True)
    scores = Scores(given, predicted, declared)
    bins = reliability(confidence, given == predicted)
    figures: dict[str, Any] = {
        "num_images": len(given),
        "num_groups": len(present),
        "accuracy": scores.accuracy,
        "accuracy_ci": None,
        "macro_f1": scores.macro_f1,
        "macro_f1_ci": None,
        "ece": calibration_error(bins),
        "ceiling": float((scores.support[declared] > 0).mean()),  # of macro-F1, which counts absent classes as 0
        "absent_classes": [
            name for name, count, here in zip(names, scores.support, declared, strict=True) if here and not count
        ],
        "classes": _class_rows(scores, names),
        "confusion": _confusion(given, predicted, declared),
        "reliability": bins,
    }
    if len(given):
        resampled = resample(given, predicted, groups, declared, seed)
        figures["macro_f1_ci"] = list(interval(resampled.macro_f1))
        figures["accuracy_ci"] = list(interval(resampled.accuracy))
    return figures


def summarise(
    predictions: Predictions,
    decode: dict[str, Any],
    seed: int,
    unseen: NDArray[np.bool_] | None = None,
    centres: Mapping[str, Sequence[float]] | None = None,
) -> dict[str, Any]:
    """The figures of ``report.json``: joint, per task, and the attribution of what is lost.

    A task's own scores are those of its marginal arg-max; the joint scores are those of the decoded classes.

    Args:
        predictions: N answered pictures.
        decode: the rule and its settings, for the record.
        seed: of the resampling.
        unseen: (C,) bool, the classes that were held out of training; None: none was.
        centres: per task whose labels are made of numbers, (C_t,) the number that stands for each label. Where a raw
            number is known of a picture, the task has a ``number``: how far the expected value is from it.
    """
    space = predictions.space
    groups = predictions.group_indices()
    classes, predicted = predictions.classes, predictions.predicted
    joint_probs = predictions.joint_log_probs().exp().numpy()
    confidence = joint_probs[np.arange(len(predictions)), predicted]
    tasks = {}
    for column, (task, log_probs) in enumerate(predictions.task_log_probs().items()):
        best = log_probs.max(dim=1)
        tasks[task] = _figures(
            predictions.labels[:, column],
            best.indices.numpy(),
            best.values.exp().numpy(),
            groups,
            space.tasks[column].classes,
            space.possible_labels(task),
            seed,
        )
        if centres and task in centres and predictions.numbers is not None:
            values, numbers = np.array(centres[task], dtype=float), predictions.numbers[:, column]
            if number := number_figures(log_probs.exp().numpy(), values, numbers, groups, seed):
                tasks[task]["number"] = number
    known = classes != MISSING
    return {
        "num_images": len(predictions),
        "num_groups": predictions.num_groups,
        "decode": decode,
        "joint": _figures(classes, predicted, confidence, groups, space.class_names, space.possible, seed),
        "tasks": tasks,
        "attribution": attribute(classes[known], predicted[known], space),
        "unseen": None if unseen is None or not unseen.any() else unseen_scores(predictions, unseen, seed),
    }


def unseen_scores(predictions: Predictions, unseen: NDArray[np.bool_], seed: int) -> dict[str, Any]:
    """How the classes that were held out of training are answered, beside those that were not.

    Both macro-F1s are of all pictures: to answer an unseen class where another one is right costs the unseen class's
    precision. Only the mean is over these classes, or over those.

    Args:
        predictions: N answered pictures.
        unseen: (C,) bool, the classes that were held out; at least one.
        seed: of the resampling.

    Returns:
        ``num_images`` and ``num_groups`` of the unseen classes; ``classes``, a row for each of them; ``macro_f1`` with
        its interval over groups, None where no picture is of an unseen class; ``seen_macro_f1`` likewise.
    """
    known = predictions.classes != MISSING
    given, predicted = predictions.classes[known], predictions.predicted[known]
    groups = np.unique(predictions.group_indices()[known], return_inverse=True)[1]
    inside = unseen[given]
    scores = Scores(given, predicted, unseen)
    figures: dict[str, Any] = {
        "num_images": int(inside.sum()),
        "num_groups": len(np.unique(groups[inside])),
        "classes": _class_rows(scores, predictions.space.class_names),
    }
    for key, which in (("", unseen), ("seen_", predictions.space.possible & ~unseen)):
        there = which[given].any()
        figures[f"{key}macro_f1"] = Scores(given, predicted, which).macro_f1 if there else None
        figures[f"{key}macro_f1_ci"] = (
            list(interval(resample(given, predicted, groups, which, seed).macro_f1)) if there else None
        )
    return figures


def distribution(labels: IntArray, groups: NDArray[np.object_], space: LabelSpace) -> dict[str, Any]:
    """How often each class and each task's label that can occur does, among (N, T) labels of (N,) groups."""
    classes = space.encode(labels)
    return {
        "num_images": len(labels),
        "num_groups": len(set(groups)),
        "joint": np.bincount(classes[classes != MISSING], minlength=space.num_classes)[space.possible].tolist(),
        "tasks": {
            task.name: np.bincount(column[column != MISSING], minlength=task.num_classes)[
                space.possible_labels(task.name)
            ].tolist()
            for task, column in zip(space.tasks, labels.T, strict=True)
        },
    }
