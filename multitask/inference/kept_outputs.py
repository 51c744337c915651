"""The outputs of a job's images, kept until those of all are there.

What is kept of an image is its outputs, in a temporary file, and its name in another; memory holds a few numbers for
each.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from multitask.errors import UserError
from multitask.evaluation.decode import ModelOutputs
from multitask.evaluation.decode.group_tasks import GroupTasks
from multitask.evaluation.decode.pooling import pool
from multitask.evaluation.metrics import IntArray
from multitask.inference.group_keys import ALONE, group_key
from multitask.inference.prediction import PredictionBatch
from multitask.inference.promises import Promises
from multitask.inference.spec import InferenceSpec
from multitask.inference.stream import ImageInput, InputBatch
from multitask.labels import JOINT
from multitask.utils.strings import Strings, StringsBuilder

_CHUNK = 8_192
"""Images that are pooled at once, and the rest of the last one's group."""


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


@contextmanager
def kept_outputs(spec: InferenceSpec, computed: Iterable[Computed], *, grouped: bool) -> Iterator[KeptOutputs]:
    """The outputs of all images of a job, for as long as the context lasts.

    Args:
        spec: the network's.
        computed: the batches of all images; taken to the end.
        grouped: whether images with a group are answered as members of it: pooled, in single precision; else each
            image's outputs are kept as they are.
    """
    with tempfile.TemporaryFile() as numbers, tempfile.TemporaryFile() as batches:
        kept = KeptOutputs(spec, numbers, batches, grouped)
        for batch, outputs in computed:
            kept.add(batch, outputs)
        kept.finish()
        yield kept


@dataclass(frozen=True, eq=False)
class _Answerer:
    """What makes predictions of outputs."""

    spec: InferenceSpec
    promises: Promises

    def __call__(self, outputs: ModelOutputs, images: list[str]) -> PredictionBatch:
        return PredictionBatch.of(self.spec, outputs, images).with_promises(self.promises)


class KeptOutputs:
    """The outputs of N images, and the batches that they came in; as of ``kept_outputs``.

    Args:
        spec: the network's.
        numbers: a file for the outputs.
        batches: a file for the rest.
        grouped: whether images are answered as members of their groups.
    """

    def __init__(self, spec: InferenceSpec, numbers: IO[bytes], batches: IO[bytes], grouped: bool) -> None:
        self._spec, self._numbers, self._batches, self._grouped = spec, numbers, batches, grouped
        widths = {task.name: len(task.classes) for task in spec.heads}
        if spec.joint_term:
            widths[JOINT] = spec.learned.num_classes
        stops = np.cumsum([*widths.values()])
        self._columns = {
            name: slice(int(stop) - width, int(stop)) for (name, width), stop in zip(widths.items(), stops, strict=True)
        }
        self._width = int(stops[-1])
        self._dtype: np.dtype[np.floating[Any]] = np.dtype(np.float32 if grouped else np.float64)
        self._num = self._num_batches = 0
        self._keys = StringsBuilder()
        self.groups = Strings.of([])
        """(N,) the images' groups, as of ``group_key``; once all are there, and all on their own if not ``grouped``."""

    def __len__(self) -> int:
        return self._num

    def add(self, batch: InputBatch, outputs: ModelOutputs | None) -> None:
        """Keeps a batch and its outputs."""
        inputs = tuple(
            item if isinstance(item.image, Path) else replace(item, image=Path(item.name)) for item in batch.inputs
        )
        errors = {place: str(error) for place, error in batch.errors.items()}
        pickle.dump((inputs, errors), self._batches, protocol=pickle.HIGHEST_PROTOCOL)
        self._num_batches += 1
        if outputs is None:
            return
        if self._grouped:
            self._keys.extend(group_key(item.group) for item in batch.readable)
        self._num += len(outputs)
        rows = np.concatenate([*outputs.tables().values()], axis=1, dtype=self._dtype)
        self._numbers.write(rows.tobytes())

    def finish(self) -> None:
        """Puts pooled outputs in the place of those of each image by itself, once all are there."""
        self._numbers.flush()
        self.groups = self._keys.build() if self._grouped else Strings.repeated(ALONE, len(self))
        if self._grouped:
            self._pool(self.groups.codes.astype(np.int64))

    def _pool(self, groups: IntArray) -> None:
        grouping, space = self._spec.grouping, self._spec.space
        assert grouping is not None
        tasks, table = GroupTasks(space, grouping.tasks), self._table("r+")
        rows = np.flatnonzero((self.groups != ALONE) & (np.bincount(groups)[groups] > 1))
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

    def answered(
        self, spec: InferenceSpec, promises: Promises | None = None, of_groups: Promises | None = None
    ) -> Iterator[AnsweredBatch]:
        """The batches with their predictions, in their order; one such pass at a time.

        Args:
            spec: the network's, perhaps with other rules or priors.
            promises: of images that are on their own; None: none.
            of_groups: of the others, of the same coverage and risk.
        """
        self._batches.seek(0)
        alone = _Answerer(spec, promises or Promises())
        for_groups = _Answerer(spec.for_groups(), of_groups or Promises()) if self._grouped else alone
        grouped, table, start = np.asarray(self.groups != ALONE), self._table("r"), 0
        for _ in range(self._num_batches):
            inputs, errors = pickle.load(self._batches)  # as ``add`` wrote them
            readable = [item.name for place, item in enumerate(inputs) if place not in errors]
            rows = np.arange(start, start + len(readable))
            start += len(readable)
            outputs, inside = self._outputs(table, rows), grouped[rows]
            predictions = alone(outputs, readable)
            if inside.any():
                predictions = predictions.where(~inside, for_groups(outputs, readable))
            yield AnsweredBatch(inputs, predictions, {place: UserError(text) for place, text in errors.items()})

    def _table(self, mode: str) -> NDArray[np.floating[Any]]:
        """(N, W) the tables of outputs side by side, in the file."""
        shape = (len(self), self._width)
        if not shape[0]:
            return np.empty(shape, dtype=self._dtype)
        return np.memmap(self._numbers, dtype=self._dtype, mode=mode, shape=shape)  # type: ignore[call-overload,no-any-return]

    def _outputs(self, table: NDArray[np.floating[Any]], rows: IntArray) -> ModelOutputs:
        values = table[rows].astype(np.float64)
        tables = {name: values[:, columns] for name, columns in self._columns.items()}
        joint = tables.pop(JOINT, None)
        return ModelOutputs(self._spec.learned, tables, joint)
