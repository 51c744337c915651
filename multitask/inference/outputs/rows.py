"""The rows of an output: predictions, and images that could not be read, in the order in which images were given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from multitask.errors import UserError, printable
from multitask.inference.prediction import PredictionBatch
from multitask.inference.stream import ImageInput
from multitask.utils.spelling import path_text

Column: TypeAlias = Sequence[str | None] | NDArray[Any]
"""The values of a column: texts, None where a cell is empty; or numbers, NaN likewise."""

DIGITS = 6
"""Significant digits of a probability in a text: networks compute in single precision, which has no more."""


@dataclass(frozen=True)
class RowLayout:
    """What rows have beside an image's name, labels, class and their probabilities.

    Attributes:
        probabilities: whether they have those of all labels and classes.
        groups: whether they have the image's group.
        errors: whether they have the reason why an image could not be read.
    """

    probabilities: bool = False
    groups: bool = False
    errors: bool = False


@dataclass(frozen=True, eq=False)
class Rows:
    """B rows.

    Attributes:
        inputs: B images.
        predictions: of the R <= B that could be read.
        errors: the row -> why it could not be read, of the others.
    """

    inputs: tuple[ImageInput, ...]
    predictions: PredictionBatch
    errors: dict[int, UserError]

    def __len__(self) -> int:
        return len(self.inputs)

    def columns(self, layout: RowLayout) -> dict[str, Column]:
        """Column -> its B values; the same columns in the same order for every batch of a space and a layout."""
        found: dict[str, Column] = {"image": [path_text(item.name) for item in self.inputs]}
        if layout.groups:
            found["group"] = [None if item.group is None else path_text(item.group) for item in self.inputs]
        readable = np.array([row for row in range(len(self)) if row not in self.errors], dtype=np.int64)
        for name, values in self.predictions.columns(layout.probabilities).items():
            if name != "image":
                found[name] = _spread(values, readable, len(self))
        if layout.errors:
            found["error"] = [self._reason(row) for row in range(len(self))]
        return found

    def objects(self, layout: RowLayout) -> Iterator[dict[str, Any]]:
        """B nested objects, as JSON has them: of an image that could not be read, with null for what is not known."""
        readable = 0
        for row, item in enumerate(self.inputs):
            found: dict[str, Any] = {"image": path_text(item.name)}
            if layout.groups:
                found["group"] = None if item.group is None else path_text(item.group)
            if row in self.errors:
                found |= dict.fromkeys(("labels", "class", "probs", "class_probs", *_promised(self.predictions)))
            else:
                found |= _object(self.predictions, readable, layout.probabilities)
                readable += 1
            if layout.errors:
                found["error"] = self._reason(row)
            yield found

    def _reason(self, row: int) -> str | None:
        """Why an image could not be read, without its name, which the row has."""
        error = self.errors.get(row)
        return None if error is None else path_text(printable(str(error).removeprefix(f"{self.inputs[row].image}: ")))


def rounded(value: float) -> float:
    """A number of ``DIGITS`` significant digits."""
    return float(f"{value:.{DIGITS}g}")


def _spread(values: Sequence[str] | NDArray[Any], readable: NDArray[np.int64], num: int) -> Column:
    """The values of ``num`` rows, of which those at ``readable`` are known."""
    if len(readable) == num:
        return values
    if isinstance(values, np.ndarray):
        numbers = np.full(num, np.nan)
        numbers[readable] = values
        return numbers
    texts: list[str | None] = [None] * num
    for row, value in zip(readable, values, strict=True):
        texts[row] = value
    return texts


def _object(predictions: PredictionBatch, row: int, probabilities: bool) -> dict[str, Any]:
    """The prediction of an image: its labels, its class, and their probabilities or those of all."""
    if probabilities:
        one = predictions[row]
        labels, class_name, probs, class_probs = one.labels, one.class_name, one.probs, one.class_probs
    else:
        space, index = predictions.space, int(predictions.predicted[row])
        places = dict(zip(space.task_names, predictions.labels[row].tolist(), strict=True))
        labels = {task.name: task.classes[places[task.name]] for task in space.tasks}
        class_name = space.class_names[index]
        probs = {name: {labels[name]: predictions.probs[name][row, place]} for name, place in places.items()}
        class_probs = {class_name: predictions.class_probs[row, index]}
    promised = {
        "sets": predictions.sets_of(row),
        "ask": None if predictions.ask is None else bool(predictions.ask[row]),
    }
    return {
        "labels": labels,
        "class": class_name,
        "probs": {task: _rounded(of_task) for task, of_task in probs.items()},
        "class_probs": _rounded(class_probs),
        **{key: promised[key] for key in _promised(predictions)},
    }


def _promised(predictions: PredictionBatch) -> list[str]:
    """The keys of what was asked for beside: prediction sets, whether to ask."""
    found = {"sets": predictions.sets, "ask": predictions.ask}
    return [key for key, value in found.items() if value is not None]


def _rounded(probs: dict[str, float]) -> dict[str, float]:
    return {name: rounded(value) for name, value in probs.items()}
