"""Calibrated probabilities of the images that a run's network answered without having trained on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multitask.errors import UserError
from multitask.evaluation.calibration import labellings, marginals
from multitask.evaluation.decode import LabelledOutputs, PoolingRule, Priors
from multitask.evaluation.decode.crossfit import cross_fit_posteriors, deal_known
from multitask.evaluation.decode.expected import posteriors
from multitask.evaluation.decode.group_tasks import GroupTasks
from multitask.evaluation.decode.pooling import pool_labelled
from multitask.evaluation.decode.temperature import fit_temperatures
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.prior_shift import CLASSES, Answered, PriorEstimate, estimate_prior
from multitask.labels import JOINT, MISSING, LabelSpace
from multitask.runs.config import TrainedRun
from multitask.runs.report import read_rules
from multitask.utils.seeds import derive


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """What a run's network said of groups on which it was not trained.

    Probabilities are cross-fitted: by temperatures, and a pooling, that were fitted on other groups. Of a run in folds
    each image is answered by the one network that did not train on it, where a new image is answered by all of them.

    Attributes:
        space: the label space.
        single: per task, and for ``joint``, of each image by itself.
        grouped: likewise, of each image as a member of its group; None where no task is per group.
        seed: of the run's config.
    """

    space: LabelSpace
    single: dict[str, Answered]
    grouped: dict[str, Answered] | None
    seed: int = 0


def read_out_of_fold(trained: TrainedRun, but_fold: int | None = None) -> OutOfFold:
    """The predictions that a run left of the groups that validate, or, in folds, of all; a final run has its folds'.

    Args:
        trained: the run.
        but_fold: of a run in folds, the fold whose groups are left out; None: none is.

    Raises:
        UserError: nobody validated the run, fewer than two groups did, or its files are missing or damaged.
    """
    folder, config = trained
    if config.data.none_validate and folder.num_folds is None and config.final is None:
        raise UserError(
            f"{folder.path}: has no predictions of groups that it did not train on (data.val_fraction is 0); train "
            f"with `{trained.folds_command}`"
        )
    folder.read_report()
    predictions = Predictions.from_csv(folder.predictions(), config.space(), config.learned_space())
    if but_fold is not None:
        fold = Predictions.from_csv(folder.fold(but_fold).predictions(), config.space(), config.learned_space())
        predictions = predictions.take(
            np.flatnonzero(~np.isin(predictions.groups.astype(str), fold.groups.astype(str)))
        )
    known = predictions.known()
    folds = deal_known(known, derive(config.seed, "out of fold"))
    labelled = predictions.groups[(predictions.labels != MISSING).any(axis=1)]
    if folds is None and len(set(labelled)) < 2:
        raise UserError(
            f"{folder.path}: fewer than two groups with labels validated it, which are too few to say how sure its "
            f"heads are; train in folds: `{trained.folds_command}`"
        )
    kept = read_rules(folder, config.evaluation())
    priors = None if kept is None else kept_priors(kept.shifts)
    if folds is None:  # one head learns the classes, of which at most one group's are known: that answers as it does
        folds = np.isin(known.groups.astype(str), known.groups[known.classes != MISSING].astype(str)).astype(np.int64)
    single = _answered(predictions, cross_fit_posteriors(known, priors, folds))
    grouped = None
    if kept is not None and kept.grouped is not None:
        tasks = GroupTasks(predictions.space, kept.grouped.tasks)
        found = _pooled_posteriors(known, kept.grouped.pooling, tasks, kept_priors(kept.grouped.shifts), folds)
        grouped = _answered(predictions, found)
    return OutOfFold(predictions.space, single, grouped, config.seed)


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
    what = CLASSES if joint else name
    try:
        return estimate_prior(answered[name], unlabelled, names, possible, what, derive(seed, "prior", name)), ""
    except UserError as error:
        return None, str(error)


def kept_priors(shifts: Mapping[str, tuple[float, ...]]) -> Priors:
    """Priors whose shifts are those that a run kept."""
    natural = {name: np.array(values) for name, values in shifts.items()}
    return Priors({name: np.zeros_like(values) for name, values in natural.items()}, natural)


def _answered(predictions: Predictions, class_probs: FloatArray) -> dict[str, Answered]:
    groups = predictions.group_indices()
    found = labellings(class_probs, predictions.labels, predictions.space)
    return {name: Answered(part.probs, part.labels, groups) for name, part in found.items()}


def _pooled_posteriors(
    known: LabelledOutputs, rule: PoolingRule, tasks: GroupTasks, priors: Priors, folds: IntArray
) -> FloatArray:
    """(N, C) as ``cross_fit_posteriors``, with a pooling of the kind of ``rule`` before, fitted likewise."""
    shifts = priors.shifts(tuple(known.outputs.tables()))
    found = np.empty((len(known), known.space.num_classes))
    for fold in np.unique(folds):
        inside: NDArray[np.bool_] = folds == fold
        others, held_out = known.take(np.flatnonzero(~inside)), known.take(np.flatnonzero(inside))
        fitted = type(rule).fit(others, tasks)
        temperatures = fit_temperatures(pool_labelled(fitted, others, tasks), priors)
        found[inside] = posteriors(pool_labelled(fitted, held_out, tasks).outputs, temperatures, shifts).T
    return found
