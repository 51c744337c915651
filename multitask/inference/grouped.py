"""Answers to groups: outputs are kept until those of all images are there, pooled, and decided.

What is kept of an image is its outputs, in single precision in a temporary file, and its name in another; memory holds
a few numbers for each.
"""

from __future__ import annotations

import pickle
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from multitask.errors import UserError
from multitask.evaluation.decode import ModelOutputs
from multitask.evaluation.decode.group_tasks import GroupTasks
from multitask.evaluation.decode.pooling import pool
from multitask.evaluation.metrics import IntArray
from multitask.inference.prediction import PredictionBatch
from multitask.inference.promises import Promises
from multitask.inference.spec import InferenceSpec
from multitask.inference.stream import ImageInput, InputBatch
from multitask.labels import JOINT

_CHUNK = 8_192
"""Images that are pooled at once, and the rest of the last one's group."""

_ALONE = -1


@dataclass(frozen=True, eq=False)
class AnsweredBatch:
    """A batch that was given, and its predictions.

    Attributes:
        inputs: B images; those that were given as such are no longer held.
        predictions: of the R <= B that could be read, in their order.
        errors: the place within the batch -> why it could not be read, of the others.
    """

    inputs: tuple[ImageInput, ...]
    predictions: PredictionBatch
    errors: dict[int, UserError]


Computed: TypeAlias = tuple[InputBatch, ModelOutputs | None]
"""A batch with the outputs of its images that could be read; None where none could."""


def answer_groups(
    spec: InferenceSpec,
    computed: Iterable[Computed],
    promises: Promises | None = None,
    of_groups: Promises | None = None,
) -> Iterator[AnsweredBatch]:
    """The predictions of images as members of their groups; those without a group are answered by themselves.

    Args:
        spec: the network's.
        computed: the batches of all images with their outputs; taken to the end before the first is answered.
        promises: of images without a group; None: none.
        of_groups: of the others, of the same coverage and risk.

    Returns:
        The same batches, in the same order.

    Raises:
        UserError: no task of the run is per group.
    """
    for_groups = spec.for_groups()
    assert spec.grouping is not None
    with tempfile.TemporaryFile() as numbers, tempfile.TemporaryFile() as names:
        kept = _Kept(spec, numbers, names)
        for batch, outputs in computed:
            kept.add(batch, outputs)
        kept.pool()
        alone = _Answerer(spec, promises or Promises())
        yield from kept.answered(alone, _Answerer(for_groups, of_groups or Promises()))


def grouped_inputs(inputs: Iterable[ImageInput], groups: Iterable[object]) -> Iterator[ImageInput]:
    """Images with their groups.

    Args:
        inputs: the images.
        groups: of each; None and NaN: it is on its own.

    Raises:
        UserError: there is not one for each image.
    """
    nothing = object()
    for item, group in zip_longest(inputs, groups, fillvalue=nothing):
        if item is nothing or group is nothing:
            which = "fewer" if group is nothing else "more"
            raise UserError(f"groups: must be one for each image, found {which}")
        assert isinstance(item, ImageInput)
        yield replace(item, group=None if group is None or group != group else str(group))  # NaN


@dataclass(frozen=True, eq=False)
class _Answerer:
    """What makes predictions of outputs."""

    spec: InferenceSpec
    promises: Promises

    def __call__(self, outputs: ModelOutputs, images: list[str]) -> PredictionBatch:
        return PredictionBatch.of(self.spec, outputs, images).with_promises(self.promises)


class _Kept:
    """The outputs of N images, and the batches that they came in."""

    def __init__(self, spec: InferenceSpec, numbers: IO[bytes], names: IO[bytes]) -> None:
        self._spec, self._numbers, self._names = spec, numbers, names
        widths = {task.name: len(task.classes) for task in spec.heads}
        if spec.joint_term:
            widths[JOINT] = spec.learned.num_classes
        stops = np.cumsum([*widths.values()])
        self._columns = {
            name: slice(int(stop) - width, int(stop)) for (name, width), stop in zip(widths.items(), stops, strict=True)
        }
        self._width = int(stops[-1])
        self._groups = array("q")
        self._known: dict[str, int] = {}
        self._num_batches = 0

    def add(self, batch: InputBatch, outputs: ModelOutputs | None) -> None:
        """Keeps a batch and its outputs."""
        inputs = tuple(
            item if isinstance(item.image, Path) else replace(item, image=Path(item.name)) for item in batch.inputs
        )
        errors = {place: str(error) for place, error in batch.errors.items()}
        pickle.dump((inputs, errors), self._names, protocol=pickle.HIGHEST_PROTOCOL)
        self._num_batches += 1
        if outputs is None:
            return
        for item in batch.readable:
            group = item.group
            self._groups.append(_ALONE if group is None else self._known.setdefault(group, len(self._known)))
        rows = np.concatenate([*outputs.tables().values()], axis=1, dtype=np.float32)
        self._numbers.write(rows.tobytes())

    def pool(self) -> None:
        """Puts the pooled outputs in the place of those of each image by itself."""
        self._known.clear()
        self._numbers.flush()
        grouping, space = self._spec.grouping, self._spec.space
        assert grouping is not None
        tasks, groups, table = GroupTasks(space, grouping.tasks), self.groups, self._table("r+")
        sizes = np.bincount(groups[groups != _ALONE], minlength=1)
        rows = np.flatnonzero((groups != _ALONE) & (sizes[groups] > 1))
        rows = rows[np.argsort(groups[rows], kind="stable")]
        ordered, start = groups[rows], 0
        while start < len(rows):
            last = ordered[min(start + _CHUNK, len(rows)) - 1]
            stop = int(np.searchsorted(ordered, last, side="right"))
            chunk = rows[start:stop]
            pooled = pool(grouping.pooling, self._outputs(table, chunk), tasks, ordered[start:stop])
            for name, values in pooled.tables().items():
                table[chunk, self._columns[name]] = values
            start = stop

    def answered(self, alone: _Answerer, of_groups: _Answerer) -> Iterator[AnsweredBatch]:
        """The batches with their predictions."""
        self._names.seek(0)
        groups, table, start = self.groups, self._table("r"), 0
        for _ in range(self._num_batches):
            inputs, errors = pickle.load(self._names)  # as ``add`` wrote them
            readable = [item.name for place, item in enumerate(inputs) if place not in errors]
            rows = np.arange(start, start + len(readable))
            start += len(readable)
            outputs = self._outputs(table, rows)
            inside = groups[rows] != _ALONE
            predictions = alone(outputs, readable)
            if inside.any():
                predictions = predictions.where(~inside, of_groups(outputs, readable))
            yield AnsweredBatch(inputs, predictions, {place: UserError(text) for place, text in errors.items()})

    @property
    def groups(self) -> IntArray:
        """(N,) the group of each image, ``_ALONE`` where it has none."""
        return np.frombuffer(self._groups, dtype=np.int64) if self._groups else np.empty(0, dtype=np.int64)

    def _table(self, mode: str) -> NDArray[np.float32]:
        """(N, W) the tables of outputs side by side, in the file."""
        shape = (len(self._groups), self._width)
        if not shape[0]:
            return np.empty(shape, dtype=np.float32)
        return np.memmap(self._numbers, dtype=np.float32, mode=mode, shape=shape)  # type: ignore[call-overload,no-any-return]

    def _outputs(self, table: NDArray[np.float32], rows: IntArray) -> ModelOutputs:
        values = table[rows].astype(np.float64)
        tables = {name: values[:, columns] for name, columns in self._columns.items()}
        joint = tables.pop(JOINT, None)
        return ModelOutputs(self._spec.learned, tables, joint)
