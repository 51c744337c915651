"""The unlabelled images, answered by a run: those of the run itself are left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multitask.errors import UserError
from multitask.evaluation.calibration import marginals
from multitask.evaluation.metrics import FloatArray
from multitask.inference.group_keys import ALONE, group_key, group_numbers, group_of
from multitask.inference.inputs import NamedInputs
from multitask.inference.predictor import Predictor
from multitask.inference.stream import ImageInput, InputBatch
from multitask.labels import LabelSpace
from multitask.progress import Progress
from multitask.pseudo.own_images import OwnImages
from multitask.utils.spelling import plural
from multitask.utils.strings import Strings, StringsBuilder
from multitask.utils.texts import TEXTS_AT_ONCE


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """N images without labels and their calibrated probabilities.

    Attributes:
        paths: N absolute paths.
        groups: (N,) the group of each, as of ``group_key``.
        pooled: (N,) bool, whether it was answered as a member of a group.
        class_probs: (N, C).
        num_own: how many more are the run's own images, and were left out.
        num_of_own_groups: how many more are of groups that the run knows, and were left out.
        num_unreadable: how many more could not be read.
    """

    paths: Strings
    groups: Strings
    pooled: NDArray[np.bool_]
    class_probs: FloatArray
    num_own: int
    num_of_own_groups: int
    num_unreadable: int

    def __len__(self) -> int:
        return len(self.paths)

    def probs(self, space: LabelSpace) -> dict[str, FloatArray]:
        """Per task, (N, C_t)."""
        return marginals(self.class_probs, space)

    @cached_property
    def group_indices(self) -> NDArray[np.int64]:
        """(N,) the groups as numbers; an image without a group is one."""
        return group_numbers(self.groups)


def answer_unlabelled(
    predictor: Predictor, inputs: NamedInputs, own: OwnImages, progress: Progress, batch_size: int | None = None
) -> Unlabelled:
    """Answers images but those of the run itself, and of groups that it knows.

    Memory holds no object for an image: their paths are packed, and beside these there are numbers.

    Raises:
        UserError: none is left, the run needs a box for each image, or the images have boxes, which it would ignore.
    """
    if predictor.needs_boxes:
        raise UserError(f"data.crop: the run crops by {predictor.spec.crop.reads} of each image, which these have not")
    if inputs.has_boxes:
        raise UserError("--box-columns: would be ignored: the run's crop takes no boxes from a table")
    for note in inputs.notes:
        progress.note(note)
    others = _others(inputs, own)
    done = progress.answering(inputs.count)
    grouped = inputs.has_groups and predictor.spec.grouping is not None
    class_probs, readable = np.empty((len(others), predictor.space.num_classes)), np.ones(len(others), dtype=bool)
    start = num = 0
    with closing(predictor.batches(others.inputs(), batch_size)) as batches:
        computed = predictor.compute(_counted(batches, done))
        for batch in predictor.answer_groups(computed) if grouped else map(predictor.answer, computed):
            found = batch.predictions.class_probs
            class_probs[num : num + len(found)] = found
            readable[[start + place for place in batch.errors]] = False
            start, num = start + len(batch.inputs), num + len(found)
    num_unreadable = len(others) - num
    if not num:
        raise UserError(_nothing_left(inputs, others, num_unreadable))
    rows = np.flatnonzero(readable)
    groups = others.groups[rows]
    return Unlabelled(
        Strings.of(map(os.path.abspath, others.files[rows])),
        groups,
        np.asarray(groups != ALONE) & grouped,
        class_probs[:num],
        others.num_own,
        others.num_of_own_groups,
        num_unreadable,
    )


@dataclass(frozen=True, eq=False)
class _Others:
    """The images that are not the run's own nor of a group that it knows.

    Attributes:
        files: N, as the inputs name them; no two alike.
        groups: (N,) as of ``group_key``.
        errors: the place -> why an image cannot be read, of those of which that is known.
        num_own: as of ``Unlabelled``.
        num_of_own_groups: likewise.
    """

    files: Strings
    groups: Strings
    errors: dict[int, UserError]
    num_own: int
    num_of_own_groups: int

    def __len__(self) -> int:
        return len(self.files)

    def inputs(self) -> Iterator[ImageInput]:
        """The images, each made as it is needed."""
        for place, (file, key) in enumerate(zip(self.files, self.groups, strict=True)):
            yield ImageInput(file, Path(file), group=group_of(key), error=self.errors.get(place))


def _others(inputs: Iterable[ImageInput], own: OwnImages) -> _Others:
    """The images that are not the run's own nor of a group that it knows, each file once.

    A group is one of those by its name, or by an image that is the run's own: its others would train in the same folds
    as if they were of somebody else, and validate with them.
    """
    files, keys = StringsBuilder(), StringsBuilder()
    errors: dict[int, UserError] = {}
    remaining = iter(inputs)
    while some := list(islice(remaining, TEXTS_AT_ONCE)):
        errors |= {len(files) + place: item.error for place, item in enumerate(some) if item.error is not None}
        files.extend(str(item.image) for item in some)
        keys.extend(group_key(item.group) for item in some)
    named, groups = files.build(), keys.build()
    paths = Strings.of(map(os.path.abspath, named))
    rows = np.unique(paths.codes, return_index=True)[1]  # where each file is named first
    is_own = np.fromiter((Path(path) in own for path in paths[rows]), dtype=bool, count=len(rows))
    named, groups = named[rows], groups[rows]
    taken = own.has_groups(groups) | np.isin(groups.codes, groups.codes[is_own])
    taken &= np.asarray(groups != ALONE) & ~is_own
    left = np.flatnonzero(~is_own & ~taken)
    known = {place: errors[row] for place, row in enumerate(rows[left].tolist()) if row in errors} if errors else {}
    return _Others(named[left], groups[left], known, int(is_own.sum()), int(taken.sum()))


def _counted(batches: Iterable[InputBatch], done: Callable[[int], None]) -> Iterator[InputBatch]:
    num = 0
    for batch in batches:
        yield batch
        num += len(batch.inputs)
        done(num)


def _nothing_left(inputs: NamedInputs, others: _Others, num_unreadable: int) -> str:
    where = ", ".join(inputs.paths)
    if num_unreadable:
        return f"{where}: no image can be read ({num_unreadable:,} are damaged or no images)"
    groups = f", or of its groups ({others.num_of_own_groups:,})" if others.num_of_own_groups else ""
    num = others.num_own + others.num_of_own_groups
    return (
        f"{where}: {plural(num, 'image is', 'images are')} the run's own{groups}, whose labels are known or must "
        "stay unknown; name "
        "images that it did not have"
    )
