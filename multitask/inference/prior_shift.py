"""Answers under the label prior of the images that are answered, which is estimated on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from multitask.errors import UserError
from multitask.evaluation.decode import DecodeRule
from multitask.evaluation.decode.outputs import product
from multitask.evaluation.decode.prior_shifted import PriorShifted
from multitask.evaluation.metrics import IntArray
from multitask.evaluation.prior_shift import PriorEstimate
from multitask.evaluation.prior_text import prior_text
from multitask.inference.grouped import AnsweredBatch, Computed, answer_groups
from multitask.inference.prediction import PredictionBatch
from multitask.inference.predictor import Predictor
from multitask.inference.spec import InferenceSpec
from multitask.labels import JOINT
from multitask.progress import Progress
from multitask.runs.out_of_fold import OutOfFold, prior_of


def group_numbers(groups: Sequence[str | None]) -> IntArray:
    """(N,) numbers, one for each group of N images; one without a group is a group.

    >>> group_numbers(["a", None, "a", None]).tolist()
    [2, 0, 2, 1]
    """
    names = [str(row) if group is None else f"/{group}" for row, group in enumerate(groups)]
    return np.unique(np.array(names, dtype=str), return_inverse=True)[1].astype(np.int64)


def with_priors(spec: InferenceSpec, priors: Mapping[str, PriorEstimate]) -> InferenceSpec:
    """The specification under other priors: what it answers, and the probabilities beside.

    What it promises of images of the old prior it no longer does: it has no calibration.

    Args:
        spec: any.
        priors: by task; the prior of a task that is not in it stays. By ``joint`` that of the classes, which counts
            where the network has probabilities of the classes whole, by a flat head or a joint term; where it is not in
            it, theirs is moved by the product of the tasks'.
    """
    space, learned = spec.space, spec.learned
    ratios = {
        task.name: priors[task.name].log_ratio() if task.name in priors else np.zeros(task.num_classes)
        for task in space.tasks
    }
    of_classes = priors[JOINT].log_ratio() if JOINT in priors else product(ratios, space)
    by_task = learned.task_names == space.task_names
    offsets = {name: ratios[name] if by_task else of_classes for name in learned.task_names}
    if spec.joint_term:
        offsets[JOINT] = of_classes

    def moved(shifts: Mapping[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
        return {
            name: tuple((np.array(shifts.get(name, np.zeros(len(values)))) + values).tolist())
            for name, values in offsets.items()
        }

    def scaled(temperatures: Mapping[str, float]) -> dict[str, tuple[float, ...]]:
        return {name: tuple((temperatures.get(name, 1.0) * values).tolist()) for name, values in offsets.items()}

    def changed(
        rule: DecodeRule, temperatures: Mapping[str, float], shifts: Mapping[str, tuple[float, ...]]
    ) -> dict[str, Any]:
        shifted = PriorShifted(rule=rule, offsets=scaled(temperatures))
        return {"rule": shifted, "shifts": moved(shifts), "calibration": None}

    grouping = spec.grouping
    if grouping is not None:
        grouping = grouping.model_copy(update=changed(grouping.rule, grouping.temperatures, grouping.shifts))
    return spec.model_copy(update={**changed(spec.rule, spec.temperatures, spec.shifts), "grouping": grouping})


def answer_shifted(
    predictor: Predictor, known: OutOfFold, computed: Iterable[Computed], grouped: bool, progress: Progress
) -> Iterator[AnsweredBatch]:
    """The predictions of all images under the prior that is estimated on them, batch by batch, in their order.

    The outputs of all images are held in memory until the last one is there; their pixels are not.

    Args:
        predictor: of the run.
        known: what it said of groups on which it was not trained.
        computed: as of ``Predictor.compute``, of all images.
        grouped: whether images with a group are answered as members of it.
        progress: told the priors, and warned of those that are not identifiable.

    Raises:
        UserError: no prior is identifiable.
    """
    computed = list(computed)
    before = list(_answer(predictor.spec, computed, grouped))
    class_probs = np.concatenate([batch.predictions.class_probs for batch in before])
    items = [item for batch in before for place, item in enumerate(batch.inputs) if place not in batch.errors]
    groups = group_numbers([item.group if grouped else None for item in items])
    of_classes = predictor.spec.joint_term or predictor.spec.learned.task_names != known.space.task_names
    priors, why = {}, []
    for name in (*known.space.task_names, JOINT):
        found, problem = prior_of(known, name, class_probs, groups, known.seed, pooled=grouped)
        used = name != JOINT or of_classes
        if found is not None:
            progress.note(prior_text(name, found))
            if used:
                priors[name] = found
        elif used:
            why.append(problem)
        else:
            progress.note(problem)
    if not priors:
        raise UserError(f"--prior-shift: {why[0]}; leave it out")
    for problem in why:
        progress.warn(f"--prior-shift: {problem}; there the old prior stays")
    yield from _answer(with_priors(predictor.spec, priors), computed, grouped)


def _answer(spec: InferenceSpec, computed: Iterable[Computed], grouped: bool) -> Iterator[AnsweredBatch]:
    if grouped:
        yield from answer_groups(spec, computed)
        return
    for batch, outputs in computed:
        names = [item.name for item in batch.readable]
        found = (
            PredictionBatch.concatenate([], spec.space) if outputs is None else PredictionBatch.of(spec, outputs, names)
        )
        yield AnsweredBatch(batch.inputs, found, batch.errors)
