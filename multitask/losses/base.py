"""Losses of one head: the base of their settings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np

from multitask.labels import Task
from multitask.losses.class_weights import ClassWeightSettings, NoWeights
from multitask.losses.training_labels import UNSEEN, FloatArray, TrainingLabels
from multitask.settings import Settings, Table

if TYPE_CHECKING:
    from torch import Tensor

    from multitask.losses.task_losses import TaskLoss


class LossSettings(Settings):
    """The settings of a loss, which build its module.

    A loss has the keys that mean something to it and no others, so that none is set in vain.

    >>> from multitask.losses import CrossEntropySettings
    >>> gender = Task("gender", ("male", "female"))
    >>> data = TrainingLabels(gender, counts=np.array([30.0, 10.0]), centres=np.full(2, np.nan))
    >>> settings = CrossEntropySettings(class_weights={"name": "inverse_frequency"})
    >>> settings.weighting().name, settings.weights(data.counts)
    ('inverse_frequency', tensor([0.6667, 2.0000]))
    >>> np.exp(settings.implied_log_prior(data.counts)).round(3)
    array([0.5, 0.5])
    >>> list(settings.problems(gender)), type(settings.build(data)).__name__
    ([], 'ClasswiseLoss')
    """

    name: str
    needs_order: ClassVar[bool] = False
    """Whether the task's classes must be in order."""
    needs_numbers: ClassVar[bool] = False
    """Whether the task's labels must be made of numbers."""
    nests: ClassVar[bool] = False
    """Whether it is made of other losses; such a one is never part of another."""

    @abstractmethod
    def build(self, data: TrainingLabels) -> TaskLoss:
        """The module of a head's loss, with what it takes from the labels that the head is trained on."""

    def problems(self, task: Task) -> Iterator[str]:
        """Why this cannot be the loss of a task: ``key: rule, what was found``, a line each."""
        if self.needs_numbers and task.kind != "binned":
            yield f"name: {self.name} needs raw numbers, which only a binned task has; {task.name} is {task.kind}"
        elif self.needs_order and task.kind == "nominal":
            yield f"name: {self.name} needs classes in order; {task.name} is nominal"
        for line in self.weighting().problems(task.classes):
            yield f"class_weights.{line}"

    def weighting(self) -> ClassWeightSettings:
        """The settings of the class weights; of a loss without them, those that weight every class the same."""
        return NoWeights()

    def weights(self, counts: FloatArray) -> Tensor:
        """(C_t,) float32 class weights, of mean 1 over the training images that ``counts`` (C_t,) counts."""
        return self.weighting().scaled(counts)

    def implied_log_prior(self, counts: FloatArray, drawn: FloatArray | None = None) -> FloatArray:
        """The log-prior of the classes that a trained head's probabilities contain, which decode rules correct for.

        log pi_c = log(w_c m_c / sum_k w_k m_k), with w_c the weight of class c, which follows from its number of
        training images, and m_c how much these count, each by how often it is drawn and by its own weight (as targets,
        where labels are smoothed): the prior of every loss whose minimum is the posterior of weighted images. Exact for
        cross entropy; the others share its decisions but not its probabilities, so that for them it is an
        approximation. Deferred weights count whole.

        Args:
            counts: (C_t,) training images of each class.
            drawn: (C_t,) m; None: every image counts the same, and m is ``counts``.

        Returns:
            (C_t,) finite; the exponentials sum to 1. A class that was never seen, or whose weight is 0, is taken to
            have been seen half a time.
        """
        weights = self.weights(counts).double().numpy()
        return _log_prior(self._target_counts(counts if drawn is None else drawn), weights)

    def _target_counts(self, counts: FloatArray) -> FloatArray:
        """(C_t,) the training images of which each class is the target, smoothed ones in parts."""
        return counts


LOSSES: Table[LossSettings] = Table("loss", LossSettings, default="cross_entropy")
"""The table of losses; its rows stand in the package's ``__init__``."""

AnyLoss = Annotated[LossSettings, LOSSES]


def _log_prior(counts: FloatArray, weights: FloatArray) -> FloatArray:
    floor = UNSEEN * weights[weights > 0].min(initial=np.inf)
    mass = np.maximum(weights * np.maximum(counts, UNSEEN), floor)
    return np.asarray(np.log(mass / mass.sum()))
