"""Tasks whose label belongs to the group: the gender of a person, but not whether a mask is worn."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from multitask.data.samples import Samples
from multitask.labels import MISSING, LabelSpace
from multitask.utils.texts import Codes

BY_CHANCE = 0.01
"""The most that it may be probable that all groups agree by chance where a task is found to be per group."""


def per_group_tasks(samples: Samples, rows: NDArray[np.int64] | slice = slice(None)) -> tuple[str, ...]:
    """The tasks whose label is the same in all images of a group, in the space's order.

    These are the declared ones, and those for which nothing is declared where no group has two different labels, groups
    of two labelled images or more are there, and that all agree is no chance: with p_c the share of label c, so many
    images drawn anew would agree with a probability of prod_g sum_c p_c ** n_g, over groups g with n_g > 1 labels.

    Args:
        samples: N.
        rows: those that train; all.

    >>> from pathlib import Path
    >>> from multitask.labels import Task
    >>> space = LabelSpace([Task("mask", ("on", "off")), Task("gender", ("male", "female"))])
    >>> groups = [f"p{image // 2}" for image in range(16)]
    >>> samples = Samples.unlabelled(space, Path(), [f"{image}.jpg" for image in range(16)], groups)
    >>> samples.labels[:, 0], samples.labels[:, 1] = np.arange(16) % 2, np.arange(16) // 2 % 2
    >>> per_group_tasks(samples)
    ('gender',)
    """
    groups = samples.groups.codes[rows]
    found = []
    for task, labels in zip(samples.space.tasks, samples.labels[rows].T, strict=True):
        if task.per_group is None:
            chosen = not len(contradicted(labels, groups)) and _log_chance(labels, groups) < math.log(BY_CHANCE)
        else:
            chosen = task.per_group
        if chosen:
            found.append(task.name)
    return tuple(found)


def labelled_groups(samples: Samples, tasks: Sequence[str]) -> NDArray[np.int64]:
    """(N, K) the number of each sample's group, ``MISSING`` where no sample of the group has the label of the task.

    Where sources are mixed, a task may be per group in those alone that label it: what another groups by (a scene with
    several faces) need not have one label of it.

    Args:
        samples: N.
        tasks: K.
    """
    groups = samples.group_indices()
    numbers = np.full((len(samples), len(tasks)), MISSING)
    for place, task in enumerate(tasks):
        known = samples.labels[:, samples.space.task_names.index(task)] != MISSING
        rows = np.isin(groups, groups[known])
        numbers[rows, place] = groups[rows]
    return numbers


def shares_constant(space: LabelSpace, labels: NDArray[np.int64], groups: NDArray[np.int64]) -> dict[str, float]:
    """Per task, the share of the groups whose labels agree, of those with two labelled images or more.

    Tasks of which no group has two labelled images are left out.

    Args:
        space: the label space.
        labels: (N, T), ``MISSING`` where unknown.
        groups: (N,) numbers from 0.
    """
    shares = {}
    for task, column in zip(space.task_names, labels.T, strict=True):
        sizes = np.bincount(groups[column != MISSING])
        if (sizes > 1).any():
            num = int((sizes > 1).sum())
            shares[task] = (num - len(contradicted(column, groups))) / num
    return shares


def contradicted(labels: Codes, groups: Codes) -> NDArray[np.int64]:
    """The groups, rising, that have two different ones among (N,) labels of which some may be ``MISSING``.

    >>> contradicted(np.array([0, 1, 1, 1, 0, MISSING]), np.array([0, 0, 1, 1, 2, 2]))
    array([0])
    """
    known = labels != MISSING
    groups, labels = groups[known], labels[known]
    one = np.empty(groups.max(initial=-1) + 1, dtype=labels.dtype)
    one[groups] = labels  # any of a group's
    wrong = np.zeros(len(one), dtype=bool)
    wrong[groups[labels != one[groups]]] = True
    return np.flatnonzero(wrong)


def _log_chance(labels: Codes, groups: Codes) -> float:
    """The log-probability that all groups agree where labels are drawn anew; 0 where no group has two labels."""
    known = labels != MISSING
    sizes = np.bincount(groups[known])
    sizes, counts = np.unique(sizes[sizes > 1], return_counts=True)
    if not len(sizes):
        return 0.0
    shares = np.bincount(labels[known]) / known.sum()
    return float((counts * np.log((shares ** sizes[:, None]).sum(axis=1))).sum())
