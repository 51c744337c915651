"""Predictions as they are given to whoever asked: names, labels and calibrated probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, overload

import numpy as np

from multitask.evaluation.decode import ModelOutputs
from multitask.evaluation.decode.expected import posteriors
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.inference.spec import InferenceSpec
from multitask.labels import LabelSpace

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction of one image.

    Attributes:
        image: its path, or its place among the images that were given.
        labels: task -> the label's name.
        class_name: the class's: the labels joined by ``/``.
        class_prob: its calibrated probability.
        probs: task -> label -> calibrated probability; over all classes, not only the predicted one's.
        class_probs: class -> calibrated probability; classes that cannot occur are left out.
    """

    image: str
    labels: dict[str, str]
    class_name: str
    class_prob: float
    probs: dict[str, dict[str, float]]
    class_probs: dict[str, float]


@dataclass(frozen=True, eq=False)
class PredictionBatch(Sequence[Prediction]):
    """The predictions of N images; a sequence of ``Prediction``.

    Attributes:
        space: the label space.
        images: N names, each an image's path or its place among the images that were given.
        predicted: (N,) classes, as the run's decode rule decides.
        class_probs: (N, C) calibrated probabilities; rows sum to 1.
    """

    space: LabelSpace
    images: tuple[str, ...]
    predicted: IntArray
    class_probs: FloatArray

    @classmethod
    def of(cls, spec: InferenceSpec, outputs: ModelOutputs, images: Sequence[str]) -> PredictionBatch:
        """The predictions from a network's outputs.

        Args:
            spec: the network's.
            outputs: for N images.
            images: their N names.
        """
        shifts = {name: np.array(values) for name, values in spec.shifts.items()}
        probs = posteriors(outputs, spec.temperatures, shifts)
        return cls(spec.space, tuple(images), spec.rule.decode(outputs), np.ascontiguousarray(probs.T))

    @classmethod
    def concatenate(cls, parts: Sequence[PredictionBatch], space: LabelSpace) -> PredictionBatch:
        """The predictions of several batches as one; of none, an empty one."""
        return cls(
            space,
            tuple(name for part in parts for name in part.images),
            np.concatenate([np.empty(0, dtype=np.int64), *(part.predicted for part in parts)]),
            np.concatenate([np.empty((0, space.num_classes)), *(part.class_probs for part in parts)]),
        )

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, index: int) -> Prediction: ...
    @overload
    def __getitem__(self, index: slice) -> PredictionBatch: ...
    def __getitem__(self, index: int | slice) -> Prediction | PredictionBatch:
        if isinstance(index, slice):
            return PredictionBatch(self.space, self.images[index], self.predicted[index], self.class_probs[index])
        return self._one(range(len(self))[index])

    def __iter__(self) -> Iterator[Prediction]:
        return map(self._one, range(len(self)))

    @cached_property
    def labels(self) -> IntArray:
        """(N, T) the labels of the predicted classes."""
        return self.space.decode(self.predicted)

    @cached_property
    def probs(self) -> dict[str, FloatArray]:
        """Per task, (N, C_t) calibrated probabilities: the sums of its classes'."""
        product = self.class_probs.reshape(-1, *self.space.sizes)
        axes = range(1, self.space.num_tasks + 1)
        return {
            task.name: product.sum(axis=tuple(axis for axis in axes if axis != place))
            for place, task in enumerate(self.space.tasks, start=1)
        }

    def to_pandas(self, probabilities: bool = False) -> pd.DataFrame:
        """A table with a row for each image.

        Args:
            probabilities: whether to give those of all labels and classes rather than of the predicted alone.

        Returns:
            Columns ``image``, each task, ``class``, ``p(TASK)`` and ``p(class)``; with all, ``p(TASK=LABEL)`` and
            ``p(class=CLASS)`` too.
        """
        import pandas as pd

        return pd.DataFrame(self.columns(probabilities))

    def columns(self, probabilities: bool = False) -> dict[str, Sequence[str] | FloatArray]:
        """As ``to_pandas``: column -> its N values."""
        rows = np.arange(len(self))
        found: dict[str, Sequence[str] | FloatArray] = {"image": self.images}
        for task, column in zip(self.space.tasks, self.labels.T, strict=True):
            found[task.name] = [task.classes[label] for label in column]
        found["class"] = [self.space.class_names[index] for index in self.predicted]
        for task, column in zip(self.space.tasks, self.labels.T, strict=True):
            found[f"p({task.name})"] = self.probs[task.name][rows, column]
        found["p(class)"] = self.class_probs[rows, self.predicted]
        if probabilities:
            for task in self.space.tasks:
                for label, name in enumerate(task.classes):
                    found[f"p({task.name}={name})"] = self.probs[task.name][:, label]
            for index in np.flatnonzero(self.space.possible):
                found[f"p(class={self.space.class_names[index]})"] = self.class_probs[:, index]
        return found

    def _one(self, row: int) -> Prediction:
        space, index = self.space, int(self.predicted[row])
        probs = self.class_probs[row]
        return Prediction(
            image=self.images[row],
            labels={t.name: t.classes[label] for t, label in zip(space.tasks, self.labels[row], strict=True)},
            class_name=space.class_names[index],
            class_prob=float(probs[index]),
            probs={t.name: dict(zip(t.classes, self.probs[t.name][row].tolist(), strict=True)) for t in space.tasks},
            class_probs={space.class_names[here]: float(probs[here]) for here in np.flatnonzero(space.possible)},
        )
