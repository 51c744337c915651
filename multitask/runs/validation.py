"""The samples that validate, scored after every epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from multitask.data.loading import Batches
from multitask.data.samples import Samples
from multitask.evaluation.jackknife import standard_error
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.summary import epoch_scores
from multitask.progress import ValidationScores
from multitask.runs.classifier import Classifier
from multitask.utils.ranks import ranks
from multitask.utils.records import value_at


class Validation:
    """Scores the networks of one training on the samples that validate.

    Args:
        classifier: the network that is trained, with what its answers need.
        samples: those that validate.
        batches: theirs, unshuffled.
        bound_of: the score that is told with its standard error taken off; None: none is.

    Attributes:
        best: the predictions that were kept; None before.
    """

    def __init__(self, classifier: Classifier, samples: Samples, batches: Batches, bound_of: str | None = None) -> None:
        self._classifier = classifier
        self._samples = samples
        self._batches = batches
        self._bound_of = bound_of
        self._last: Predictions | None = None
        self.best: Predictions | None = None

    def predict(self, network: Callable[[Tensor], Mapping[str, Tensor]]) -> Predictions:
        """The answers of a network in evaluation mode."""
        with torch.inference_mode():
            return replace(self._classifier, network=network).predict(self._samples, self._batches)

    def __call__(self, network: Callable[[Tensor], Mapping[str, Tensor]]) -> ValidationScores:
        """A network's scores."""
        last = self._last = self.predict(network)
        return ranks().from_main(lambda: self._scores(last))

    def _scores(self, predictions: Predictions) -> ValidationScores:
        scores = epoch_scores(predictions)
        if (metric := self._bound_of) is None:
            return scores
        error = standard_error(predictions, metric)
        value = float(value_at(scores, metric))
        return replace(scores, bound=value + error if metric.endswith("loss") else value - error)

    def keep(self) -> None:
        """Keeps the predictions of the network that was scored last."""
        self.best = self._last
