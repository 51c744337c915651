"""A config's losses, and what is known of the labels that they are trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import nn

from multitask.config import Config
from multitask.labels import JOINT, MISSING
from multitask.material import Material
from multitask.objective.losses import JointLoss
from multitask.objective.training_labels import TrainingLabels, training_labels


def trained_labels(config: Config, material: Material) -> dict[str, TrainingLabels]:
    """What is known of the labels that each loss is trained on, the heads' and the joint term's, by name."""
    learned = config.learned_space()
    train = material.what_is_learned(material.samples.take(material.split.train))
    tasks, labels = list(learned.tasks), train.labels
    if config.joint is not None:
        tasks.append(config.joint_task())
        places = np.full(learned.num_classes + 1, MISSING)  # the last is that of a missing class
        places[np.flatnonzero(learned.possible)] = np.arange(learned.possible.sum())
        labels = np.hstack([labels[:, :-1], places[labels[:, -1:]]])
    return {
        task.name: training_labels(task, labels[:, column], train.numbers[:, column])
        for column, task in enumerate(tasks)
    }


def build_losses(config: Config, material: Material) -> dict[str, nn.Module]:
    """The losses of the heads, and of the joint term where there is one, by name."""
    labels = trained_labels(config, material)
    losses: dict[str, nn.Module] = {name: head.loss.build(labels[name]) for name, head in config.heads.items()}
    if config.joint is not None:
        losses[JOINT] = JointLoss(config.joint.loss.build(labels[JOINT]), config.learned_space().possible)
    return losses


def implied_log_priors(config: Config, material: Material) -> dict[str, NDArray[np.float64]]:
    """The prior that each trained head's probabilities contain, by name, as ``LossSettings.implied_log_prior`` says.

    Returns:
        Per head, (C_t,); and (C,) ``joint`` where there is a joint loss, in which a class that cannot occur has the
        rarest one's, so that all are finite.
    """
    labels = trained_labels(config, material)
    priors = {name: head.loss.implied_log_prior(labels[name].counts) for name, head in config.heads.items()}
    if config.joint is not None:
        found = config.joint.loss.implied_log_prior(labels[JOINT].counts)
        possible = config.learned_space().possible
        priors[JOINT] = np.full(len(possible), found.min())
        priors[JOINT][possible] = found
    return priors


def number_centres(material: Material) -> dict[str, list[float]]:
    """The number that stands for each label of the tasks that are made of numbers: (C_t,) by task, from who trains."""
    train = material.samples.take(material.split.train)
    return {
        task.name: training_labels(task, train.labels[:, column], train.numbers[:, column]).class_values().tolist()
        for column, task in enumerate(material.space.tasks)
        if task.kind == "binned"
    }
