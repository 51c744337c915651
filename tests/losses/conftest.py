"""A loss by name, as of logits, for a task that every loss can be of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from multitask.labels import Task
from multitask.losses import LOSSES, LossSettings
from multitask.losses.training_labels import TrainingLabels
from multitask.settings import validate
from multitask.testing.losses import CENTRES, COUNTS, OnLogits


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
