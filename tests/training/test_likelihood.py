"""The likelihood of the training labels is what validation calls its loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from multitask.data.mixup import BatchTargets
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.summary import epoch_scores
from multitask.labels import JOINT, MISSING, LabelSpace, Task
from multitask.training.likelihood import LikelihoodMeter

TASKS = [Task("colour", ("red", "green", "blue")), Task("type", ("a", "b"))]
PLAIN = LabelSpace(TASKS)
HOLED = LabelSpace(TASKS, [{"colour": "red", "type": "b"}])
LABELS = torch.tensor([[0, 0], [1, 1], [2, MISSING], [MISSING, 1], [MISSING, MISSING], [2, 0]])


def outputs(space: LabelSpace, term: bool) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    found = {
        task.name: torch.randn(6, task.num_classes, generator=generator, dtype=torch.float64).log_softmax(1)
        for task in space.tasks
    }
    if term:
        joint = torch.randn(6, space.num_classes, generator=generator, dtype=torch.float64)
        found[JOINT] = joint.masked_fill(torch.from_numpy(~space.possible), -math.inf).log_softmax(1)
    return found


def targets(labels: Tensor, partner: Tensor | None = None, lam: float = 1.0) -> BatchTargets:
    return BatchTargets(labels, torch.arange(6.0), torch.full(labels.shape, math.nan), partner, lam)


def validated(space: LabelSpace, found: dict[str, Tensor]) -> tuple[float, dict[str, float]]:
    heads = {name: values for name, values in found.items() if name != JOINT}
    names = np.array([str(row) for row in range(6)], dtype=object)
    predicted = np.zeros(6, dtype=np.int64)
    scores = epoch_scores(Predictions(space, space, names, names, LABELS.numpy(), heads, predicted, found.get(JOINT)))
    return scores.loss, {task: row.loss for task, row in scores.tasks.items()}


@pytest.mark.parametrize("space", [PLAIN, HOLED], ids=["all occur", "one cannot occur"])
@pytest.mark.parametrize("term", [False, True], ids=["heads", "joint term"])
def test_it_is_the_validation_loss_of_the_same_outputs(space: LabelSpace, term: bool) -> None:
    found = outputs(space, term)
    meter = LikelihoodMeter(space, torch.device("cpu"))
    labels = torch.hstack([LABELS, torch.zeros(6, 1, dtype=torch.long)]) if term else LABELS
    for rows in (slice(0, 2), slice(2, 5), slice(5, 6)):  # the second batch has no image with all labels
        part = targets(labels[rows])
        meter.add({name: values[rows] for name, values in found.items()}, part)
    joint, tasks = meter.record()
    expected, expected_tasks = validated(space, found)
    assert joint == pytest.approx(expected, rel=1e-6)
    assert tasks == pytest.approx(expected_tasks, rel=1e-6)


def test_of_a_mixed_image_each_side_counts_by_its_share() -> None:
    found, partner = outputs(PLAIN, False), torch.tensor([1, 0, 3, 2, 5, 4])
    mixed = LikelihoodMeter(PLAIN, torch.device("cpu"))
    mixed.add(found, targets(LABELS, partner, 0.75))
    nll = -found["colour"]
    # Known: images 0, 1, 2, 5 on their own side; of the partners 1, 0, -, 2, 5 (of 4), -
    own = float(nll[0, 0] + nll[1, 1] + nll[2, 2] + nll[5, 2])
    other = float(nll[0, 1] + nll[1, 0] + nll[3, 2] + nll[4, 2])
    assert mixed.record()[1]["colour"] == pytest.approx((0.75 * own + 0.25 * other) / 4, rel=1e-6)


def test_where_nobody_has_a_label_there_is_no_number() -> None:
    meter = LikelihoodMeter(PLAIN, torch.device("cpu"))
    meter.add(outputs(PLAIN, False), targets(torch.full((6, 2), MISSING)))
    joint, tasks = meter.record()
    assert math.isnan(joint)
    assert all(math.isnan(value) for value in tasks.values())
