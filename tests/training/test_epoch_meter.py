from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from multitask.data.mixup import BatchTargets
from multitask.labels import LabelSpace, Task
from multitask.training.epoch_meter import EpochMeter, TrainedBatch

SPACE = LabelSpace([Task("colour", ("red", "green")), Task("size", ("s", "l"))])
LABELS = torch.tensor([[0, 1], [1, 0]])


def batch(mixed: bool = False) -> TrainedBatch:
    """Two images, of which every label is given a probability of 1/2."""
    outputs = {name: torch.full((2, 2), math.log(0.5)) for name in SPACE.task_names}
    targets = BatchTargets(LABELS, torch.ones(2), torch.full((2, 2), math.nan))
    if mixed:
        targets = replace(targets, partner=torch.tensor([1, 0]), lam=0.5)
    losses = {name: torch.tensor(value) for name, value in zip(SPACE.task_names, (1.0, 3.0), strict=True)}
    return TrainedBatch(torch.tensor(4.0), losses, outputs, targets)


def test_a_record_has_the_losses_the_likelihood_and_the_weights() -> None:
    meter = EpochMeter(SPACE.task_names, SPACE, 2, torch.device("cpu"))
    meter.add(batch(), 2)
    record = meter.record({"colour": 1.0, "size": 1.0})
    assert record.loss == pytest.approx(4.0)
    assert record.nll == pytest.approx(2 * math.log(2))
    assert record.tasks is not None
    assert vars(record.tasks["size"]) == pytest.approx({"loss": 3.0, "nll": math.log(2)})
    assert record.weights == {"colour": 1.0, "size": 1.0}
    assert record.conflict is None
    assert record.mixed is None


def test_without_a_space_there_is_no_likelihood() -> None:
    meter = EpochMeter(SPACE.task_names, None, 2, torch.device("cpu"))
    meter.add(batch(), 2)
    assert meter.record({}).nll is None


def test_the_share_of_mixed_batches_is_recorded_where_there_are_any() -> None:
    meter = EpochMeter(SPACE.task_names, SPACE, 2, torch.device("cpu"))
    meter.add(batch(), 2)
    meter.add(batch(mixed=True), 2)
    assert meter.record({}).mixed == 0.5
