"""Answers to images as the local page shows them: every head's probabilities, and its map where there is one."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from multitask.data.images import Preprocessing
from multitask.evaluation.evidence import Explanation
from multitask.inference.prediction import Prediction
from multitask.inference.predictor import Predictor
from multitask.inference.spec import InferenceSpec
from multitask.inference.stream import ImageInput, InputBatch
from multitask.reporting.explain.page import image_view
from multitask.reporting.explain.text import percent_text
from multitask.reporting.html import embedded
from multitask.runs.folder import RunFolder

if TYPE_CHECKING:
    from multitask.inference.explain.explainer import Explainer

NAME = "the image"
MOST_LABELS = 6
"""Of a head that are listed, the most probable first."""


class Answerer(ABC):
    """Answers images one by one; any number of threads may ask.

    Attributes:
        spec: of what answers.
    """

    spec: InferenceSpec

    def __init__(self, spec: InferenceSpec) -> None:
        self.spec = spec
        self._preprocessing: Preprocessing = spec.preprocessing()

    def answer(self, data: bytes) -> dict[str, Any]:
        """The answer to the bytes of an image's file, as JSON data.

        Raises:
            UserError: it is no image.
        """
        pixels = self._preprocessing.load_bytes(data, NAME)
        return self._answer(InputBatch((ImageInput(NAME, Path(NAME)),), pixels[np.newaxis], {}))

    @abstractmethod
    def _answer(self, batch: InputBatch) -> dict[str, Any]: ...


class ExplainingAnswerer(Answerer):
    """Answers with a map of each head.

    Args:
        explainer: of the run.
    """

    def __init__(self, explainer: Explainer) -> None:
        super().__init__(explainer.spec)
        self._explainer = explainer

    def _answer(self, batch: InputBatch) -> dict[str, Any]:
        predictions, explanations = self._explainer.answer(batch)
        return _data(predictions[0], explanations[0])


class PlainAnswerer(Answerer):
    """Answers without maps, which an exported file has no gradients for.

    Args:
        predictor: of the file.
    """

    def __init__(self, predictor: Predictor) -> None:
        super().__init__(predictor.spec)
        self._predictor = predictor

    def _answer(self, batch: InputBatch) -> dict[str, Any]:
        data = _data(self._predictor.predict_readable(batch)[0], None)
        return data | {"seen": embedded(batch.pixels[0])}


def load_answerer(path: str | os.PathLike[str], *, allow_extensions: bool = False) -> Answerer:
    """The answerer of a run's folder, or of an exported file.

    Raises:
        UserError: there is neither, or it is damaged.
    """
    if Path(path).is_dir() and not RunFolder(Path(path)).is_ensemble:  # whose members have maps of their own
        from multitask.inference.explain.explainer import Explainer  # an exported file is answered without torch

        return ExplainingAnswerer(Explainer.load(path, allow_extensions=allow_extensions))
    return PlainAnswerer(Predictor.load(path, allow_extensions=allow_extensions))


def _data(prediction: Prediction, explanation: Explanation | None) -> dict[str, Any]:
    view = None if explanation is None else image_view(explanation)
    heads = [(task, prediction.labels[task], prediction.probs[task]) for task in prediction.probs]
    rows = [_head("class", prediction.class_name, prediction.class_probs), *(_head(*head) for head in heads)]
    for place, row in enumerate(rows):
        one = None if view is None else view.maps[place - 1]  # whose last is the class's
        row |= {"map": None if one is None else one.shown, "blank": one is not None and one.blank}
    return {"seen": None if view is None else view.shown, "heads": rows}


def _head(name: str, label: str, probs: dict[str, float]) -> dict[str, Any]:
    ranked = sorted(probs.items(), key=lambda item: -item[1])[:MOST_LABELS]
    if label not in dict(ranked):  # a decode rule may decide for an improbable one
        ranked[-1] = (label, probs[label])
    labels = [{"label": one, "prob": prob, "text": percent_text(prob)} for one, prob in ranked]
    return {
        "head": name,
        "label": label,
        "text": percent_text(probs[label]),
        "labels": labels,
        "more": len(probs) - len(labels),
    }
