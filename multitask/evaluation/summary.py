"""The figures of a report, from predictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

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
from multitask.evaluation.regression_error import regression_error
from multitask.evaluation.report_schema import ClassDistribution, Summary
from multitask.evaluation.scores import ClassScores, Confusion, LabellingScores, UnseenScores
from multitask.labels import MISSING, LabelSpace
from multitask.progress import LabelScores, ValidationScores
from multitask.utils.records import Interval, finite
from multitask.utils.strings import Strings


def _negative_log_likelihood(log_probs: Tensor, labels: IntArray) -> float:
    known = labels != MISSING
    if not known.any():
        return float("nan")
    rows = torch.from_numpy(np.flatnonzero(known))
    return float(-log_probs[rows, torch.from_numpy(labels[known])].mean())


def epoch_scores(predictions: Predictions) -> ValidationScores:
    """The figures of every epoch."""
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
        tasks[task] = LabelScores(
            loss=_negative_log_likelihood(log_probs, labels), macro_f1=scores.macro_f1, accuracy=scores.accuracy
        )
    return ValidationScores(
        loss=loss, joint=LabelScores(loss=loss, macro_f1=joint.macro_f1, accuracy=joint.accuracy), tasks=tasks
    )


def _class_rows(scores: Scores, names: tuple[str, ...]) -> tuple[ClassScores, ...]:
    """A row for each declared class; classes that cannot occur are left out."""
    columns = (names, scores.support, scores.precision, scores.recall, scores.f1)
    return tuple(
        ClassScores(name=name, support=int(n), precision=float(p), recall=float(r), f1=float(f))
        for here, name, n, p, r, f in zip(scores.declared, *columns, strict=True)
        if here
    )


def _confusion(given: IntArray, predicted: IntArray, declared: NDArray[np.bool_]) -> Confusion:
    """``confusion_table`` of the declared classes."""
    places = np.cumsum(declared) - 1
    here = declared[given] & declared[predicted]
    return confusion_table(places[given[here]], places[predicted[here]], int(declared.sum()))


def _labelling_scores(
    given: IntArray,
    predicted: IntArray,
    confidence: FloatArray,
    groups: IntArray,
    names: tuple[str, ...],
    declared: NDArray[np.bool_],
    seed: int,
) -> LabellingScores:
    """The scores of one labelling: that by classes, or that of one task."""
    known = given != MISSING
    given, predicted, confidence = given[known], predicted[known], confidence[known]
    present, groups = np.unique(groups[known], return_inverse=True)
    scores = Scores(given, predicted, declared)
    bins = reliability(confidence, given == predicted)
    accuracy_ci: Interval | None = None
    macro_f1_ci: Interval | None = None
    if len(given):
        resampled = resample(given, predicted, groups, declared, seed)
        accuracy_ci, macro_f1_ci = interval(resampled.accuracy), interval(resampled.macro_f1)
    return LabellingScores(
        num_images=len(given),
        num_groups=len(present),
        accuracy=finite(scores.accuracy),
        accuracy_ci=accuracy_ci,
        macro_f1=finite(scores.macro_f1),
        macro_f1_ci=macro_f1_ci,
        ece=finite(calibration_error(bins)),
        ceiling=float((scores.support[declared] > 0).mean()),  # of macro-F1, which counts absent classes as 0
        absent_classes=tuple(
            name for name, count, here in zip(names, scores.support, declared, strict=True) if here and not count
        ),
        classes=_class_rows(scores, names),
        confusion=_confusion(given, predicted, declared),
        reliability=bins,
    )


def summarise(
    predictions: Predictions,
    decode: dict[str, object],
    seed: int,
    unseen: NDArray[np.bool_] | None = None,
    centres: Mapping[str, Sequence[float]] | None = None,
) -> Summary:
    """The figures of ``report.json``: joint, per task, and the attribution of what is lost.

    A task's own scores are those of its marginal arg-max; the joint scores are those of the decoded classes.

    Args:
        predictions: N answered images.
        decode: the rule and its settings, for the record.
        seed: of the resampling.
        unseen: (C,) bool, the classes that were held out of training; None: none was.
        centres: per task whose labels are made of numbers, (C_t,) the number that stands for each label. Where a raw
            number is known of an image, the task has a ``number``: how far the expected value is from it.
    """
    space = predictions.space
    groups = predictions.group_indices()
    classes, predicted = predictions.classes, predictions.predicted
    joint_probs = predictions.joint_log_probs().exp().numpy()
    confidence = joint_probs[np.arange(len(predictions)), predicted]
    tasks: dict[str, LabellingScores] = {}
    for column, (task, log_probs) in enumerate(predictions.task_log_probs().items()):
        best = log_probs.max(dim=1)
        tasks[task] = _labelling_scores(
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
            number = regression_error(log_probs.exp().numpy(), values, numbers, groups, seed)
            tasks[task] = replace(tasks[task], number=number)
    known = classes != MISSING
    return Summary(
        num_images=len(predictions),
        num_groups=predictions.num_groups,
        decode=decode,
        joint=_labelling_scores(classes, predicted, confidence, groups, space.class_names, space.possible, seed),
        tasks=tasks,
        attribution=attribute(classes[known], predicted[known], space),
        unseen=None if unseen is None or not unseen.any() else unseen_scores(predictions, unseen, seed),
    )


def unseen_scores(predictions: Predictions, unseen: NDArray[np.bool_], seed: int) -> UnseenScores:
    """How the classes that were held out of training are answered, beside those that were not.

    Both macro-F1s are of all images: to answer an unseen class where another one is right costs the unseen class's
    precision. Only the mean is over these classes, or over those.

    Args:
        predictions: N answered images.
        unseen: (C,) bool, the classes that were held out; at least one.
        seed: of the resampling.
    """
    known = predictions.classes != MISSING
    given, predicted = predictions.classes[known], predictions.predicted[known]
    groups = np.unique(predictions.group_indices()[known], return_inverse=True)[1]
    inside = unseen[given]

    def macro_f1(which: NDArray[np.bool_]) -> tuple[float | None, Interval | None]:
        """Over some of the classes, with its interval; None where no image is of one."""
        if not which[given].any():
            return None, None
        resampled = resample(given, predicted, groups, which, seed)
        return Scores(given, predicted, which).macro_f1, interval(resampled.macro_f1)

    value, value_ci = macro_f1(unseen)
    seen, seen_ci = macro_f1(predictions.space.possible & ~unseen)
    return UnseenScores(
        num_images=int(inside.sum()),
        num_groups=len(np.unique(groups[inside])),
        classes=_class_rows(Scores(given, predicted, unseen), predictions.space.class_names),
        macro_f1=value,
        macro_f1_ci=value_ci,
        seen_macro_f1=seen,
        seen_macro_f1_ci=seen_ci,
    )


def distribution(labels: IntArray, groups: Iterable[str], space: LabelSpace) -> ClassDistribution:
    """How often each class and each task's label that can occur does, among (N, T) labels of (N,) groups."""
    classes = space.encode(labels)
    counts = np.bincount(classes[classes != MISSING], minlength=space.num_classes)
    return ClassDistribution(
        num_images=len(labels),
        num_groups=Strings.of(groups).num_distinct,
        joint=tuple(counts[space.possible].tolist()),
        tasks={
            task.name: tuple(
                np.bincount(column[column != MISSING], minlength=task.num_classes)[
                    space.possible_labels(task.name)
                ].tolist()
            )
            for task, column in zip(space.tasks, labels.T, strict=True)
        },
    )
