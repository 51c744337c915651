"""Answers under the label prior of the images that are answered, which is estimated on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from multitask.errors import UserError
from multitask.evaluation.decode import DecodeRule
from multitask.evaluation.decode.outputs import product
from multitask.evaluation.decode.prior_shifted import PriorShifted
from multitask.evaluation.prior_shift import PriorEstimate
from multitask.evaluation.prior_text import prior_text
from multitask.inference.group_keys import group_numbers
from multitask.inference.kept_outputs import AnsweredBatch, Computed, KeptOutputs, kept_outputs
from multitask.inference.predictor import Predictor
from multitask.inference.spec import InferenceSpec
from multitask.labels import JOINT
from multitask.progress import Progress
from multitask.runs.out_of_fold import OutOfFold, prior_of


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

    Outputs are kept as of ``kept_outputs``; memory holds the probabilities of all images while priors are estimated.

    Args:
        predictor: of the run.
        known: what it said of groups on which it was not trained.
        computed: as of ``Predictor.compute``, of all images.
        grouped: whether images with a group are answered as members of it.
        progress: told the priors, and warned of those that are not identifiable.

    Raises:
        UserError: no prior is identifiable.
    """
    with kept_outputs(predictor.spec, computed, grouped=grouped) as kept:
        priors = _priors(predictor.spec, known, kept, grouped, progress)
        yield from kept.answered(with_priors(predictor.spec, priors))


def _priors(
    spec: InferenceSpec, known: OutOfFold, kept: KeptOutputs, grouped: bool, progress: Progress
) -> dict[str, PriorEstimate]:
    """The priors of the images, by task and ``joint``, that are identifiable and count."""
    class_probs, start = np.empty((len(kept), spec.space.num_classes)), 0
    for batch in kept.answered(spec):
        found = batch.predictions.class_probs
        class_probs[start : start + len(found)] = found
        start += len(found)
    groups = group_numbers(kept.groups)
    flat = spec.learned.task_names != known.space.task_names
    of_classes = spec.joint_term or flat
    priors, why = {}, {}
    for name in (*known.space.task_names, JOINT):
        prior, problem = prior_of(known, name, class_probs, groups, known.seed, pooled=grouped)
        used = name != JOINT or of_classes
        if prior is not None:
            progress.note(prior_text(name, prior))
            if used:
                priors[name] = prior
        elif used:
            why[name] = problem
        else:
            progress.note(problem)
    if not priors:
        raise UserError(f"--prior-shift: {next(iter(why.values()))}; leave it out")
    for name, problem in why.items():
        if name == JOINT:
            progress.warn(f"--prior-shift: {problem}; theirs is moved by the product of the tasks' priors")
        elif flat and JOINT in priors:
            progress.note(problem)  # theirs is moved whole
        else:
            progress.warn(f"--prior-shift: {problem}; there the old prior stays")
    return priors
