"""The losses of an objective, built of statistics of the labels that they are trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from multitask.data.samplers import SamplerSettings, serving_frequencies
from multitask.data.samples import Samples
from multitask.data.targets import Targets, agreeing_classes
from multitask.errors import UserError
from multitask.labels import JOINT, MISSING, Task
from multitask.losses import LossSettings
from multitask.losses.consistency import Consistency
from multitask.losses.marginal import MarginalLoss
from multitask.losses.objective import Objective
from multitask.losses.settings import ConsistencySettings
from multitask.losses.task_losses import JointLoss, TaskLoss
from multitask.losses.training_labels import TrainingLabels, log_frequencies, training_labels


def trained_labels(objective: Objective, samples: Samples) -> dict[str, TrainingLabels]:
    """Statistics of the labels that each loss is trained on, the heads' and the joint term's, by name.

    Args:
        objective: what is trained for; so in all functions here.
        samples: those that train; likewise.
    """
    return {task.name: training_labels(task, labels, numbers) for task, labels, numbers in _columns(objective, samples)}


def _columns(objective: Objective, samples: Samples) -> Iterator[tuple[Task, NDArray[np.int64], NDArray[np.floating]]]:
    """Of each loss the task, and of N samples (N,) its labels and (N,) the numbers that they were made of."""
    learned = objective.learned
    train = Targets.of(samples, learned, objective.joint is not None)
    tasks, labels = list(learned.tasks), np.maximum(train.labels, MISSING)  # of a partial label no class is known
    if objective.joint is not None:
        tasks.append(objective.joint_task())
        places = np.full(learned.num_classes + 1, MISSING)  # the last is that of a missing class
        places[np.flatnonzero(learned.possible)] = np.arange(learned.possible.sum())
        labels = np.hstack([labels[:, :-1], places[labels[:, -1:]]])
    for column, task in enumerate(tasks):
        yield task, labels[:, column], train.numbers[:, column]


def build_losses(objective: Objective, samples: Samples) -> dict[str, nn.Module]:
    """The losses of the heads, and of the joint term where there is one, by name.

    Raises:
        UserError: every sample that trains weighs 0, or every class of a loss that a sample has.
    """
    if not samples.weights.any():
        raise UserError("data.source: every image that trains has a weight of 0; give some a weight above 0")
    labels = trained_labels(objective, samples)
    losses: dict[str, nn.Module] = {
        name: _built(loss, labels[name], f"heads.{name}.loss") for name, loss in objective.heads.items()
    }
    for name in losses if objective.learned != samples.space else ():
        losses[name] = _with_partial(losses[name], objective, samples)
    if objective.joint is not None:
        joint = _built(objective.joint, labels[JOINT], "joint.loss")
        losses[JOINT] = JointLoss(joint, objective.learned.possible)
    return losses


def _built(loss: LossSettings, labels: TrainingLabels, key: str) -> TaskLoss:
    try:
        return loss.build(labels)
    except UserError as error:
        raise UserError(f"{key}: {error}") from None


def build_consistency(settings: ConsistencySettings | None, tasks: Sequence[str]) -> Consistency | None:
    """The loss of answers that differ within a group; None: there is none.

    Args:
        settings: its section.
        tasks: those that it is of, whose label belongs to the group and whose head is trained.

    Raises:
        UserError: there is none.
    """
    if settings is None:
        return None
    if not tasks:
        raise UserError(
            "training.consistency: needs a task whose label belongs to the group, but none is declared "
            "(labels.tasks.TASK.per_group: true) and the images that train show none whose head has a weight above 0; "
            "leave it out"
        )
    return Consistency(tasks, settings.weight)


def _with_partial(loss: nn.Module, objective: Objective, samples: Samples) -> nn.Module:
    """The loss of a head over all classes; where some samples' labels are partly known, one that learns from these."""
    assert isinstance(loss, TaskLoss)
    targets = np.unique(Targets.of(samples, objective.learned, joint=False).labels)
    targets = targets[targets < MISSING]
    if not len(targets):
        return loss
    return MarginalLoss(loss, targets, np.stack([agreeing_classes(int(target), samples.space) for target in targets]))


def prior_shifts(
    objective: Objective, samples: Samples, sampler: SamplerSettings | None = None
) -> dict[str, NDArray[np.float64]]:
    """The log-prior that each trained head's probabilities contain, less the log-frequencies of the labels.

    Args:
        objective: what was trained for.
        samples: those that trained.
        sampler: that chose among them; None: each was served once.

    Returns:
        Per head, (C_t,); and (C,) ``joint`` where there is a joint loss, 0 at classes that cannot occur. All zeros
        where a loss neither weights its classes nor adjusts for them, and no label's images are drawn more often, or
        weigh more, than another's.
    """
    labels = trained_labels(objective, samples)
    drawn = _drawn(objective, samples, sampler)

    def shift(loss: LossSettings, name: str) -> NDArray[np.float64]:
        counts = labels[name].counts
        implied = loss.implied_log_prior(counts, drawn[name]) if name in drawn else loss.implied_log_prior(counts)
        return implied - log_frequencies(counts)

    shifts = {name: shift(loss, name) for name, loss in objective.heads.items()}
    if objective.joint is not None:
        possible = objective.learned.possible
        shifts[JOINT] = np.zeros(len(possible))
        shifts[JOINT][possible] = shift(objective.joint, JOINT)
    return shifts


def _drawn(objective: Objective, samples: Samples, sampler: SamplerSettings | None) -> dict[str, NDArray[np.float64]]:
    """Per loss, (C_t,) how much the images of each label count, by how often they are drawn and by their weights.

    In the mean over a source's images that have a label each counts as one: how much whole sources count is left out,
    since a network that tells by an image which source it is of has, for those of each source, the prior of its labels.
    Losses of which all images count the same are left out.
    """
    counted = serving_frequencies(samples, sampler) * samples.weights
    if np.ptp(counted) <= 1e-12 * counted.max(initial=0.0):
        return {}
    sources, found = samples.sources.numbers(), {}
    for task, labels, _ in _columns(objective, samples):
        known = np.flatnonzero(labels != MISSING)
        sums, sizes = np.bincount(sources[known], counted[known]), np.bincount(sources[known])
        means = sums / np.maximum(sizes, 1)
        mass = counted[known] / np.where(means > 0, means, 1.0)[sources[known]]
        if len(mass) and np.ptp(mass) > 1e-9:
            found[task.name] = np.bincount(labels[known], mass, minlength=task.num_classes).astype(np.float64)
    return found


def number_centres(samples: Samples) -> dict[str, tuple[float, ...]]:
    """Per binned task, (C_t,) the number that stands for each label, from the samples that train."""
    return {
        task.name: tuple(
            training_labels(task, samples.labels[:, column], samples.numbers[:, column]).class_values().tolist()
        )
        for column, task in enumerate(samples.space.tasks)
        if task.kind == "binned"
    }
