"""A loss by name, as of logits, for a task that every loss can be of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from multitask.labels import Task
from multitask.losses import LOSSES, LossSettings
from multitask.losses.task_losses import TaskLoss
from multitask.losses.training_labels import TrainingLabels
from multitask.settings import validate

COUNTS = (50.0, 10.0, 0.0, 3.0)
"""Of training pictures; the third class was never seen."""

CENTRES = (5.0, 15.0, math.nan, 35.0)


class OnLogits:
    """A loss as of logits, from which heads make log-probabilities."""

    def __init__(self, loss: TaskLoss) -> None:
        self.loss = loss

    @property
    def weights(self) -> Tensor:
        weights = self.loss.weights
        assert isinstance(weights, Tensor)
        return weights

    def per_sample(self, logits: Tensor, labels: Tensor, numbers: Tensor | None = None) -> Tensor:
        found: Tensor = self.loss.per_sample(logits.log_softmax(dim=1), labels, unknown_where_none(labels, numbers))
        return found

    def __call__(
        self, logits: Tensor, labels: Tensor, weights: Tensor | None = None, numbers: Tensor | None = None
    ) -> Tensor:
        log_probs = F.log_softmax(logits if logits.dtype == torch.float64 else logits.float(), dim=1)
        weights = torch.ones(len(labels)) if weights is None else weights
        value: Tensor = self.loss(log_probs, labels, weights, unknown_where_none(labels, numbers))
        return value


def unknown_where_none(labels: Tensor, numbers: Tensor | None) -> Tensor:
    return torch.full(labels.shape, math.nan) if numbers is None else numbers


@pytest.fixture(scope="session")
def chosen() -> Callable[..., LossSettings]:
    """Settings by name and keys."""

    def make(loss: str, **keys: Any) -> LossSettings:
        return validate(LOSSES[loss], {"name": loss, **keys})  # type: ignore[type-var]

    return make


@pytest.fixture(scope="session")
def build(chosen: Callable[..., LossSettings]) -> Callable[..., OnLogits]:
    """A loss by name and keys, of a binned task with edges at 10, 20, 30 ..."""

    def make(loss: str, counts: Any = COUNTS, centres: Any = None, **keys: Any) -> OnLogits:
        num = len(counts)
        known = CENTRES if centres is None and num == len(CENTRES) else (centres or [math.nan] * num)
        task = Task("task", tuple("abcdefghij"[:num]), "binned", tuple(10.0 * place for place in range(1, num)))
        data = TrainingLabels(task, np.asarray(counts, dtype=float), np.asarray(known, dtype=float))
        return OnLogits(chosen(loss, **keys).build(data))

    return make


@pytest.fixture
def labels() -> Tensor:
    """Of six samples."""
    return torch.tensor([0, 1, 3, 2, 0, 1])


@pytest.fixture
def numbers() -> Tensor:
    """What those labels were made of, where it is known."""
    return torch.tensor([5.0, 19.0, 30.5, 24.0, math.nan, math.nan])


@pytest.fixture(scope="session")
def logits_of() -> Callable[..., Tensor]:
    """Logits of a batch over four classes, a leaf that wants its gradient."""

    def make(batch: int = 6, dtype: torch.dtype = torch.float32) -> Tensor:
        values = torch.randn(batch, 4, generator=torch.Generator().manual_seed(3)) * 3
        return values.to(dtype).requires_grad_()

    return make
