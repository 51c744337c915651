"""Classes of the product that have no image: they cost macro-F1, and may be ones that cannot occur."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from multitask.data.label_kinds import distinct_labels
from multitask.data.samples import Samples
from multitask.data.splits import Split
from multitask.labels import MISSING, LabelSpace
from multitask.utils.records import ONLY_IF_KNOWN, Count
from multitask.utils.texts import Codes

MIN_EXPECTED = 5.0
"""Groups that labels must be expected to have together: of as many, none is seen with a probability of e^-5."""


@dataclass(frozen=True)
class EmptyCells:
    """Classes without images.

    Attributes:
        never: names of the classes that can occur, and of which no split has an image.
        untrained: names of those of which there are images, but none that trains.
        impossible: what ``labels.impossible`` would hold if those of ``never`` cannot occur: what it holds now, too.
        num_expected: of the first of these, which it holds now, or which hold a label of no image, or ``MIN_EXPECTED``
            groups or more, of those that tell all of its labels, were the tasks independent. The others may be empty by
            chance. None: an older report.
        num_partly: of the images that have some labels but not all, and so are counted as of ``empty_cells``; None:
            there is none.
    """

    never: tuple[str, ...]
    untrained: tuple[str, ...]
    impossible: tuple[dict[str, str], ...]
    num_expected: Count | None = field(default=None, metadata=ONLY_IF_KNOWN)
    num_partly: Count | None = field(default=None, metadata=ONLY_IF_KNOWN)


def empty_cells(samples: Samples, split: Split) -> EmptyCells:
    """The classes without images among all samples, those that test and those in no split too.

    An image with some of its labels is taken for one of a class with these that has images with all of theirs; where
    none has, it may be of any that has these labels.
    """
    space = samples.space
    never = space.possible & ~_occurring(space, samples.labels)
    trained = _occurring(space, samples.labels[split.train])
    untrained = space.possible & ~never & ~trained
    names = np.array(space.class_names, dtype=object)
    selections = smallest_selections(space, never | ~space.possible) if never.any() else []

    @cache
    def num_groups(places: tuple[int, ...]) -> int:
        known = (samples.labels[:, places] != MISSING).all(axis=1)
        return len(np.unique(samples.group_indices()[known]))

    expected = [_is_expected(samples, selection, num_groups) for selection in selections]
    first = [selection for selection, one in zip(selections, expected, strict=True) if one]
    others = [selection for selection, one in zip(selections, expected, strict=True) if not one]
    num_missing = (samples.labels == MISSING).sum(axis=1)
    num_partly = int(((num_missing > 0) & (num_missing < space.num_tasks)).sum()) or None
    return EmptyCells(tuple(names[never]), tuple(names[untrained]), (*first, *others), len(first), num_partly)


def _is_expected(samples: Samples, selection: Mapping[str, str], num_groups: Callable[[tuple[int, ...]], int]) -> bool:
    """Whether labels that no image has together are declared so, or should have been seen.

    Args:
        samples: all of them.
        selection: the label of each task.
        num_groups: from the places of tasks to how many groups have an image whose labels of all of these are known.
    """
    space = samples.space
    if len(selection) == 1 or (space.cells([selection], "labels.impossible") & ~space.possible).any():
        return True
    places = tuple(place for place, name in enumerate(space.task_names) if name in selection)
    expected = float(num_groups(places))
    for place in places:
        task, labels = space.tasks[place], samples.labels[:, place]
        known = labels[labels != MISSING]
        expected *= (known == task.classes.index(selection[task.name])).mean() if len(known) else 0.0
    return expected >= MIN_EXPECTED


def _occurring(space: LabelSpace, labels: Codes) -> NDArray[np.bool_]:
    """(C,) whether each class has one of the (N, T) labels, of which some may be missing."""
    _, kinds = distinct_labels(labels, space)
    missing = (kinds == MISSING).sum(axis=1)
    whole = np.zeros(space.sizes, dtype=bool)
    whole[tuple(kinds[missing == 0].T)] = True
    occurring = whole.copy()
    for row in kinds[(missing > 0) & (missing < space.num_tasks)]:
        place = tuple(slice(None) if label == MISSING else label for label in row)
        if not whole[place].any():
            occurring[place] = True
    return occurring.ravel()


def smallest_selections(space: LabelSpace, cells: NDArray[np.bool_]) -> list[dict[str, str]]:
    """(C,) cells as selections of labels, the fewest tasks first: one for a label all of whose cells are among them."""
    wanted = cells.reshape(space.sizes)
    covered = np.zeros_like(wanted)
    found: list[dict[str, str]] = []
    for num in range(1, space.num_tasks + 1):
        for tasks in combinations(range(space.num_tasks), num):
            others = tuple(axis for axis in range(space.num_tasks) if axis not in tasks)
            for labels in np.argwhere(wanted.all(axis=others) & ~covered.all(axis=others)):
                place: list[slice | int] = [slice(None)] * space.num_tasks
                for task, label in zip(tasks, labels, strict=True):
                    place[task] = int(label)
                covered[tuple(place)] = True
                named = zip(tasks, labels, strict=True)
                found.append({space.tasks[task].name: space.tasks[task].classes[label] for task, label in named})
    return found
