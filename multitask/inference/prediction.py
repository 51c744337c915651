"""Predictions as they are given to whoever asked: names, labels and calibrated probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from multitask.evaluation.calibration import marginals
from multitask.evaluation.decode import ModelOutputs
from multitask.evaluation.decode.expected import posteriors
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.inference.promises import Promises
from multitask.inference.spec import InferenceSpec
from multitask.labels import JOINT, LabelSpace, shown_name

if TYPE_CHECKING:
    import pandas as pd

BoolArray: TypeAlias = NDArray[np.bool_]


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
        sets: task, and ``class``, -> the labels that hold the right one with the coverage that was asked for, the most
            probable first, and what is predicted; None where none was. A task of which too few groups calibrate is left
            out, likewise ``class``.
        ask: whether the class is not sure enough for the risk that was named; None where none was.
    """

    image: str
    labels: dict[str, str]
    class_name: str
    class_prob: float
    probs: dict[str, dict[str, float]]
    class_probs: dict[str, float]
    sets: dict[str, tuple[str, ...]] | None = None
    ask: bool | None = None

    def to_pandas(self, probabilities: bool = False) -> pd.DataFrame:
        """A table with one row, as of ``PredictionBatch.to_pandas``."""
        import pandas as pd

        row: dict[str, str | float] = {"image": self.image, **self.labels, "class": self.class_name}
        row |= {f"p({task})": self.probs[task][label] for task, label in self.labels.items()}
        row["p(class)"] = self.class_prob
        row |= {f"set({name})": _joined(labels) for name, labels in (self.sets or {}).items()}
        if self.ask is not None:
            row["ask"] = "yes" if self.ask else "no"
        if probabilities:
            for name, probs in (*self.probs.items(), ("class", self.class_probs)):
                row |= {f"p({name}={label})": prob for label, prob in probs.items()}
        return pd.DataFrame([row])


@dataclass(frozen=True, eq=False)
class PredictionBatch(Sequence[Prediction]):
    """The predictions of N images; a sequence of ``Prediction``.

    Attributes:
        space: the label space.
        images: N names, each an image's path or its place among the images that were given.
        predicted: (N,) classes, as the run's decode rule decides.
        class_probs: (N, C) calibrated probabilities; rows sum to 1.
        sets: per task, and for ``joint``, of which the coverage that was asked for can be promised, (N, C_t) bool, the
            labels in each image's set; None where none was.
        ask: (N,) bool, the images to be asked; None where no risk was named.
    """

    space: LabelSpace
    images: tuple[str, ...]
    predicted: IntArray
    class_probs: FloatArray
    sets: Mapping[str, BoolArray] | None = None
    ask: BoolArray | None = None

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

    def with_promises(self, promises: Promises) -> PredictionBatch:
        """The same predictions with their sets, and whether to ask.

        What is predicted is in every set, also where the decode rule, or a label's own threshold, would have it out.
        """
        rows = np.arange(len(self))
        confidences = self.class_probs[rows, self.predicted]
        sets = promises.sets({**self.probs, JOINT: self.class_probs})
        if sets is not None:
            predicted = {**dict(zip(self.space.task_names, self.labels.T, strict=True)), JOINT: self.predicted}
            for name, inside in sets.items():
                inside[rows, predicted[name]] = True
        return replace(self, sets=sets, ask=promises.ask(confidences))

    def where(self, own: BoolArray, other: PredictionBatch) -> PredictionBatch:
        """The predictions of some images, and those of another batch of the same images for the rest.

        Args:
            own: (N,) whose predictions are this batch's.
            other: with sets and ``ask`` where this one has them.
        """

        def chosen(one: Any, two: Any) -> Any:
            return None if one is None else np.where(own.reshape(-1, *[1] * (one.ndim - 1)), one, two)

        sets = self.sets
        return replace(
            self,
            predicted=chosen(self.predicted, other.predicted),
            class_probs=chosen(self.class_probs, other.class_probs),
            sets=None
            if sets is None
            else {name: chosen(rows, (other.sets or {})[name]) for name, rows in sets.items()},
            ask=chosen(self.ask, other.ask),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[PredictionBatch], space: LabelSpace) -> PredictionBatch:
        """The predictions of several batches as one; of none, an empty one."""
        sets = [part.sets for part in parts if part.sets is not None]
        asked = [part.ask for part in parts if part.ask is not None]
        return cls(
            space,
            tuple(name for part in parts for name in part.images),
            np.concatenate([np.empty(0, dtype=np.int64), *(part.predicted for part in parts)]),
            np.concatenate([np.empty((0, space.num_classes)), *(part.class_probs for part in parts)]),
            {name: np.concatenate([part[name] for part in sets]) for name in sets[0]} if sets else None,
            np.concatenate(asked) if asked else None,
        )

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, index: int) -> Prediction: ...
    @overload
    def __getitem__(self, index: slice) -> PredictionBatch: ...
    def __getitem__(self, index: int | slice) -> Prediction | PredictionBatch:
        if isinstance(index, slice):
            return replace(
                self,
                images=self.images[index],
                predicted=self.predicted[index],
                class_probs=self.class_probs[index],
                sets=None if self.sets is None else {name: rows[index] for name, rows in self.sets.items()},
                ask=None if self.ask is None else self.ask[index],
            )
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
        return marginals(self.class_probs, self.space)

    def to_pandas(self, probabilities: bool = False) -> pd.DataFrame:
        """A table with a row for each image.

        Args:
            probabilities: whether to give those of all labels and classes rather than of the predicted alone.

        Returns:
            Columns ``image``, each task, ``class``, ``p(TASK)`` and ``p(class)``; with all, ``p(TASK=LABEL)`` and
            ``p(class=CLASS)`` too. Where a coverage was asked for, ``set(TASK)`` and ``set(class)``: the labels in
            the set, the most probable first, joined by `` | ``; where a risk was named, ``ask``: yes or no.
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
        for name in self.sets or ():
            found[f"set({shown_name(name)})"] = [_joined(self._set(name, row)) for row in range(len(self))]
        if self.ask is not None:
            found["ask"] = ["yes" if ask else "no" for ask in self.ask]
        if probabilities:
            for task in self.space.tasks:
                for label, name in enumerate(task.classes):
                    found[f"p({task.name}={name})"] = self.probs[task.name][:, label]
            for index in np.flatnonzero(self.space.possible):
                found[f"p(class={self.space.class_names[index]})"] = self.class_probs[:, index]
        return found

    def sets_of(self, row: int) -> dict[str, tuple[str, ...]] | None:
        """As ``Prediction.sets``, of the image at a place."""
        return None if self.sets is None else {shown_name(name): self._set(name, row) for name in self.sets}

    def _set(self, name: str, row: int) -> tuple[str, ...]:
        """The labels of a task, or for ``joint`` the classes, in an image's set, the most probable first."""
        assert self.sets is not None
        if name == JOINT:
            probs, names = self.class_probs[row], self.space.class_names
        else:
            probs, names = self.probs[name][row], self.space.tasks[self.space.task_names.index(name)].classes
        inside = np.flatnonzero(self.sets[name][row])
        return tuple(names[label] for label in inside[np.argsort(-probs[inside], kind="stable")])

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
            sets=self.sets_of(row),
            ask=None if self.ask is None else bool(self.ask[row]),
        )


def _joined(labels: Sequence[str]) -> str:
    """The labels of a set in a cell."""
    return " | ".join(labels)
