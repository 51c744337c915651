"""The scores of answers to groups, beside those of answers image by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from multitask.evaluation.grouped import GroupedAnswers
from multitask.evaluation.grouped_schema import GroupedLabelling, GroupedScores
from multitask.evaluation.intervals import interval, resample
from multitask.evaluation.metrics import IntArray, Scores
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.scores import LabellingScores
from multitask.evaluation.summary import summarise
from multitask.labels import MISSING


def grouped_scores(
    answers: GroupedAnswers, single: Predictions, seed: int, centres: Mapping[str, Sequence[float]] | None = None
) -> GroupedScores | None:
    """The scores of answers to groups.

    Args:
        answers: to N images as members of their groups.
        single: the answers to the same images, each by itself.
        seed: of the resampling.
        centres: as of ``summarise``.

    Returns:
        None where no group has two images.
    """
    groups = single.group_indices()
    sizes = np.bincount(groups)
    if not (sizes > 1).any():
        return None
    summary = summarise(answers.predictions, {"name": answers.kept.used}, seed, centres=centres)
    space, kept = single.space, answers.kept
    before, after = single.task_log_probs(), answers.predictions.task_log_probs()
    tasks = {
        task.name: _beside(
            summary.tasks[task.name],
            single.labels[:, column],
            before[task.name].argmax(dim=1).numpy(),
            after[task.name].argmax(dim=1).numpy(),
            groups,
            space.possible_labels(task.name),
            seed,
        )
        for column, task in enumerate(space.tasks)
    }
    joint = _beside(
        summary.joint, single.classes, single.predicted, answers.predictions.predicted, groups, space.possible, seed
    )
    return GroupedScores(
        per_group=kept.tasks,
        declared=tuple(task.name for task in space.tasks if task.per_group and task.name in kept.tasks),
        num_groups=int((sizes > 1).sum()),
        pooling=kept.pooling.name,
        sentence=kept.sentence,
        decode=kept.rule().name,
        cross_fitted=answers.cross_fitted,
        joint=joint,
        tasks=tasks,
    )


def _beside(
    scores: LabellingScores,
    given: IntArray,
    before: IntArray,
    after: IntArray,
    groups: IntArray,
    declared: NDArray[np.bool_],
    seed: int,
) -> GroupedLabelling:
    """A labelling's scores, and how they differ on the same resamples of the groups."""
    known = given != MISSING
    if not known.any():
        return GroupedLabelling(scores=scores)
    given, present = given[known], np.unique(groups[known], return_inverse=True)[1].astype(np.int64)
    old, new = (Scores(given, answer[known], declared) for answer in (before, after))
    old_draws, new_draws = (resample(given, answer[known], present, declared, seed) for answer in (before, after))
    return GroupedLabelling(
        scores=scores,
        macro_f1_difference=new.macro_f1 - old.macro_f1,
        macro_f1_difference_ci=interval(new_draws.macro_f1 - old_draws.macro_f1),
        accuracy_difference=new.accuracy - old.accuracy,
        accuracy_difference_ci=interval(new_draws.accuracy - old_draws.accuracy),
    )
