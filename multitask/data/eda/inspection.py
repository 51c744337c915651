"""The inspection of a data set, in one object that pages and tables read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multitask.data.eda.copies import Copies, Pair, find_copies, linked
from multitask.data.eda.domain_gap import MOST_IMAGES, DomainGap, Encode, domain_gap
from multitask.data.eda.looks import Looks, common_size, look_at
from multitask.data.empty_cells import EmptyCells, empty_cells
from multitask.data.framing import Framing, frame
from multitask.data.images import Pixels, Preprocessing
from multitask.data.per_group import per_group_tasks
from multitask.data.samples import Samples
from multitask.data.splits import Split
from multitask.errors import UserError
from multitask.labels import JOINT, MISSING

NEITHER = "neither"
"""The part of those that are in none of the split's."""
MOST_CELLS = 60
"""Classes that are shown in images, the commonest: a page holds a few megabytes, not a data set."""
PER_CELL = 6
EXTREMES = 6
MOST_LINKED = 20
EXAMPLES = 3
"""Pairs of images that are shown of groups which are linked."""
Stage = Callable[[str, int], Callable[[int], None]]
"""Begins a piece of work of so many images; gives what is to be called with the number done."""


@dataclass(frozen=True)
class Counts:
    """Images and groups of each label of one task, or of each class.

    Attributes:
        names: the C labels.
        images: per split, (C,).
        groups: per split, (C,): a group counts wherever one of its images does.
        unknown: per split, images without that label.
    """

    names: tuple[str, ...]
    images: Mapping[str, NDArray[np.int64]]
    groups: Mapping[str, NDArray[np.int64]]
    unknown: Mapping[str, int]


@dataclass(frozen=True)
class Linked:
    """Groups that have images in common.

    Attributes:
        groups: their names.
        splits: for each, where it is.
        pairs: the images that they have in common, the surest first.
        leak: whether they are in several parts of the split.
        differ: tasks whose labels differ although the image is the same.
    """

    groups: tuple[str, ...]
    splits: tuple[str, ...]
    pairs: tuple[Pair, ...]
    leak: bool
    differ: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Inspection:
    """The findings on a data set.

    Attributes:
        samples: N of them.
        parts: the samples of each part of the split: ``train``, ``val``, ``test`` and ``pick`` where there are such
            and, where some are in none, ``neither``.
        counts: per task and, as ``joint``, per class.
        untrained: classes that can occur but that no group trains.
        empty: which of these are in no split, and what would declare them impossible.
        size: height and width in pixels at which images were looked at.
        looks: measurements of the images; its means are of the labels of each task in turn, then of ``cells``.
        cells: classes that are shown in images.
        copies: duplicates across groups.
        linked: groups that have images in common, leaks first.
        extremes: per kind, the indices of the most extreme images, one of a group at most.
        grid: per class of ``cells``, some of its images, of as many groups as there are.
        pixels: (H, W, 3) uint8 of every image that is shown, by index.
        framing: the part of them that a network sees; None where no network was given.
        per_group: the tasks whose label belongs to the group, in the samples that train.
        gap: between several sources; None where there is one, or no network was given.
    """

    samples: Samples
    parts: Mapping[str, NDArray[np.int64]]
    counts: Mapping[str, Counts]
    untrained: tuple[str, ...]
    empty: EmptyCells
    size: tuple[int, int]
    looks: Looks
    cells: tuple[int, ...]
    copies: Copies
    linked: tuple[Linked, ...]
    extremes: Mapping[str, tuple[int, ...]]
    grid: Mapping[int, tuple[int, ...]]
    pixels: Mapping[int, Pixels]
    framing: Framing | None = None
    per_group: tuple[str, ...] = ()
    gap: DomainGap | None = None

    @property
    def leaks(self) -> list[Linked]:
        """Groups with images in common that are on both sides of the split."""
        return [found for found in self.linked if found.leak]

    def mean(self, task: str, label: int) -> tuple[Pixels, int] | None:
        """The mean image of a task's label, or of a class of ``cells``, and of how many; None if there is none."""
        if task == JOINT:
            key = sum(self.samples.space.sizes) + self.cells.index(label)
        else:
            place = self.samples.space.task_names.index(task)
            key = sum(self.samples.space.sizes[:place]) + label
        num = int(self.looks.num_averaged[key])
        return (self.looks.means[key], num) if num else None


def inspect(
    samples: Samples,
    split: Split,
    seed: int,
    stage: Stage = lambda name, total: lambda done: None,
    network: Preprocessing | None = None,
    preprocessings: Sequence[Preprocessing] | None = None,
    encode: Encode | None = None,
) -> Inspection:
    """Inspects a data set; an image that cannot be read is listed and stops nothing.

    Args:
        samples: N samples.
        split: theirs.
        seed: of the choice of the images that are shown.
        stage: notified of every step of the work.
        network: the preprocessing of a network; None: its framing is not inspected.
        preprocessings: N, where some images have another preprocessing than the network's; None: none has.
        encode: a trained network, whose features are asked for several sources too; None: there is none.
    """
    paths = samples.paths()
    preprocessing = Preprocessing(common_size(paths), decoding=None if network is None else network.decoding)
    classes = samples.classes
    cells = _commonest(classes)
    # Counted as keys: the labels of one task after the other, then the classes that are shown.
    starts = np.cumsum([0, *samples.space.sizes])
    shown = np.full(samples.space.num_classes + 1, MISSING)  # its last place is that of MISSING
    shown[list(cells)] = starts[-1] + np.arange(len(cells))
    labels = np.where(samples.labels == MISSING, MISSING, samples.labels + starts[:-1])
    keys = np.hstack([labels, shown[classes][:, None]])
    looks = look_at(paths, preprocessing, keys, int(starts[-1]) + len(cells), stage("looking at images", len(samples)))
    groups = samples.groups.to_numpy()
    copies = find_copies(looks, groups.tolist(), stage("looking for copies", len(samples)))
    parts = _parts(len(samples), split)
    found = _linked(copies, samples, parts)
    extremes = _extremes(looks, groups)
    grid = _grid(cells, classes, groups, looks.readable, seed)
    counts = {JOINT: _count(samples.space.class_names, classes, groups, parts)}
    for place, task in enumerate(samples.space.tasks):
        counts[task.name] = _count(task.classes, samples.labels[:, place], groups, parts)
    wanted = {index for indices in (*extremes.values(), *grid.values()) for index in indices}
    for item in found[:MOST_LINKED]:
        wanted |= {index for pair in item.pairs[:EXAMPLES] for index in (pair.first, pair.second)}
    pixels = {}
    for index in sorted(wanted):
        try:
            pixels[index] = preprocessing.load(paths[index])
        except UserError:
            continue  # gone since it was looked at: it is not shown
    gap = None
    if network is not None and samples.roots is not None and len(samples.roots) > 1:
        _, sizes = np.unique(samples.sources.astype(str), return_counts=True)
        on_done = stage("asking for sources", int(np.minimum(sizes, MOST_IMAGES).sum()))
        gap = domain_gap(samples, preprocessings or [network] * len(samples), seed, on_done, encode)
    untrained = np.flatnonzero(samples.space.possible & (counts[JOINT].groups["train"] == 0))
    return Inspection(
        samples,
        parts,
        counts,
        tuple(samples.space.class_names[index] for index in untrained),
        empty_cells(samples, split),
        preprocessing.size,
        looks,
        cells,
        copies,
        found,
        extremes,
        grid,
        pixels,
        None if network is None else frame(samples, network, preprocessings or [network] * len(samples)),
        per_group_tasks(samples.take(split.train)),
        gap,
    )


def _parts(num: int, split: Split) -> dict[str, NDArray[np.int64]]:
    parts = split.parts()
    rest = np.setdiff1d(np.arange(num), np.concatenate(list(parts.values())))
    return {**parts, **({NEITHER: rest} if len(rest) else {})}


def _count(
    names: tuple[str, ...],
    labels: NDArray[np.int64],
    groups: NDArray[np.object_],
    parts: Mapping[str, NDArray[np.int64]],
) -> Counts:
    image_counts, group_counts, unknown = {}, {}, {}
    for part, indices in parts.items():
        known = indices[labels[indices] != MISSING]
        image_counts[part] = np.bincount(labels[known], minlength=len(names))
        pairs = set(zip(labels[known].tolist(), groups[known].tolist(), strict=True))
        group_counts[part] = np.bincount([label for label, _ in pairs], minlength=len(names)).astype(np.int64)
        unknown[part] = len(indices) - len(known)
    return Counts(names, image_counts, group_counts, unknown)


def _commonest(classes: NDArray[np.int64]) -> tuple[int, ...]:
    """The classes that are shown in images, in class order."""
    found, nums = np.unique(classes[classes != MISSING], return_counts=True)
    return tuple(sorted(found[np.argsort(-nums, kind="stable")[:MOST_CELLS]].tolist()))


def _linked(copies: Copies, samples: Samples, parts: Mapping[str, NDArray[np.int64]]) -> tuple[Linked, ...]:
    part_of = np.empty(len(samples), dtype=object)
    for part, indices in parts.items():
        part_of[indices] = part
    found = []
    for pairs in linked(copies.pairs, samples.groups.tolist()):
        members = [index for pair in pairs for index in (pair.first, pair.second)]
        where = {str(samples.groups[index]): str(part_of[index]) for index in members}
        ones, twos = (samples.labels[[getattr(pair, side) for pair in pairs]] for side in ("first", "second"))
        differ = ((ones != twos) & (ones != MISSING) & (twos != MISSING)).any(axis=0)
        found.append(
            Linked(
                tuple(sorted(where)),
                tuple(where[group] for group in sorted(where)),
                tuple(pairs),
                len({*where.values()} - {NEITHER}) > 1,
                tuple(task for task, differs in zip(samples.space.task_names, differ, strict=True) if differs),
            )
        )
    return tuple(sorted(found, key=lambda item: (not item.leak, -len(item.pairs))))


def _extremes(looks: Looks, groups: NDArray[np.object_]) -> dict[str, tuple[int, ...]]:
    """The most extreme images of each kind; of a group only the most extreme, lest one fills the row."""
    found = {}
    kinds: Sequence[tuple[str, NDArray[np.float64]]] = (
        ("darkest", looks.brightness),
        ("brightest", -looks.brightness),
        ("least sharp", looks.sharpness),
        ("sharpest", -looks.sharpness),
    )
    for kind, values in kinds:
        chosen: dict[str, int] = {}
        for index in np.argsort(values, kind="stable"):  # NaN comes last
            if len(chosen) == EXTREMES or np.isnan(values[index]):
                break
            chosen.setdefault(str(groups[index]), int(index))
        found[kind] = tuple(chosen.values())
    return found


def _grid(
    cells: Sequence[int],
    classes: NDArray[np.int64],
    groups: NDArray[np.object_],
    readable: NDArray[np.bool_],
    seed: int,
) -> dict[int, tuple[int, ...]]:
    """Some images of each class, drawn at random, of different groups as far as there are."""
    order = np.random.default_rng(seed).permutation(np.flatnonzero(readable & (classes != MISSING)))
    found: dict[int, tuple[int, ...]] = {}
    for cell in cells:
        drawn = order[classes[order] == cell]
        firsts: dict[str, int] = {}
        rest = [int(index) for index in drawn if firsts.setdefault(str(groups[index]), int(index)) != index]
        found[cell] = tuple([*firsts.values(), *rest][:PER_CELL])
    return found
