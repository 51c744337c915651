"""Answers under the label prior of the images that are answered, which is estimated on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from multitask.errors import UserError
from multitask.evaluation.calibration import marginals
from multitask.evaluation.decode import DecodeRule
from multitask.evaluation.decode.outputs import product
from multitask.evaluation.decode.prior_shifted import PriorShifted
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.evaluation.prior_shift import Answered, PriorEstimate, estimate_prior
from multitask.inference.grouped import AnsweredBatch, Computed, answer_groups
from multitask.inference.prediction import PredictionBatch
from multitask.inference.predictor import Predictor
from multitask.inference.spec import InferenceSpec
from multitask.inference.stream import InputBatch
from multitask.labels import JOINT, MISSING
from multitask.progress import Progress
from multitask.runs.out_of_fold import OutOfFold
from multitask.utils.seeds import derive


def prior_of(
    known: OutOfFold, name: str, class_probs: FloatArray, groups: IntArray, seed: int, *, pooled: bool = False
) -> tuple[PriorEstimate | None, str]:
    """The label prior of images without labels, of a task or of ``joint``; None, and why, where it is not identifiable.

    Args:
        known: what the run said of groups on which it was not trained.
        name: the task's, or ``joint``.
        class_probs: (N, C) calibrated probabilities of the images.
        groups: (N,) numbers, one for each group.
        seed: of the intervals.
        pooled: whether images were answered as members of their groups.
    """
    space, joint = known.space, name == JOINT
    answered = known.grouped if pooled and known.grouped is not None else known.single
    probs = class_probs if joint else marginals(class_probs, space)[name]
    names = space.class_names if joint else space.tasks[space.task_names.index(name)].classes
    possible = space.possible if joint else space.possible_labels(name)
    unlabelled = Answered(probs, np.full(len(probs), MISSING), groups)
    what = "the classes" if joint else name
    try:
        return estimate_prior(answered[name], unlabelled, names, possible, what, derive(seed, "prior", name)), ""
    except UserError as error:
        return None, str(error)


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
    predictor: Predictor, known: OutOfFold, batches: Iterable[InputBatch], grouped: bool, progress: Progress
) -> Iterator[AnsweredBatch]:
    """The predictions of all images under the prior that is estimated on them, batch by batch, in their order.

    The outputs of all images are held in memory until the last one is there; their pixels are not.

    Args:
        predictor: of the run.
        known: what it said of groups on which it was not trained.
        batches: of all images.
        grouped: whether images with a group are answered as members of it.
        progress: told the priors.

    Raises:
        UserError: no prior is identifiable.
    """
    computed: list[Computed] = [
        # A copy: a slice holds all pixels.
        (
            replace(batch, pixels=batch.pixels[:0].copy()),
            predictor.engine.outputs(batch.pixels) if len(batch.pixels) else None,
        )
        for batch in batches
    ]
    before = list(_answer(predictor.spec, computed, grouped))
    class_probs = np.concatenate([batch.predictions.class_probs for batch in before])
    items = [item for batch in before for place, item in enumerate(batch.inputs) if place not in batch.errors]
    groups = group_numbers([item.group if grouped else None for item in items])
    of_classes = predictor.spec.joint_term or predictor.spec.learned.task_names != known.space.task_names
    priors, why = {}, []
    for name in (*known.space.task_names, JOINT):
        found, problem = prior_of(known, name, class_probs, groups, known.seed, pooled=grouped)
        progress.note(problem or prior_text(name, found))
        if found is None:
            why.append(problem)
        elif name != JOINT or of_classes:
            priors[name] = found
    if not priors:
        raise UserError(f"--prior-shift: {why[0]}; leave it out")
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


_SHOWN = 8


def prior_text(name: str, found: PriorEstimate | None) -> str:
    """A prior with its intervals in a line; of very many labels the most frequent."""
    if found is None:
        return ""
    rows = sorted(range(len(found.labels)), key=lambda row: -found.prior[row])
    shown = [row for row in range(len(found.labels)) if row in rows[:_SHOWN]]
    parts = [
        f"{found.labels[row]} {found.prior[row]:.0%} ({low:.0%} to {high:.0%}; of those who validated "
        f"{found.trained[row]:.0%})"
        for row, (low, high) in ((row, found.prior_ci[row]) for row in shown)
    ]
    more = f", and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    what = "the classes" if name == JOINT else name
    return f"estimated prior of {what}: {', '.join(parts)}{more}"
