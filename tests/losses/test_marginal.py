"""A head over all classes learns from samples of which some tasks' labels are known."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from multitask.labels import MISSING, LabelSpace, Task
from multitask.losses import LOSSES
from multitask.losses.marginal import MarginalLoss
from multitask.losses.task_losses import TaskLoss
from multitask.losses.training_labels import training_labels

SPACE = LabelSpace([Task("colour", ("red", "green", "blue")), Task("size", ("s", "l"))])
AGREEING = np.array([[cell in (1, 3, 5) for cell in range(6)], [cell in (0, 1) for cell in range(6)]])
"""Of those whose size is l, and of those whose colour is red."""
TARGETS = np.array([-9, -4])


def make(name: str = "cross_entropy") -> tuple[TaskLoss, MarginalLoss]:
    (task,) = SPACE.flattened().tasks
    labels = np.array([0, 1, 2, 3, 4, 5, 0])
    loss = LOSSES[name].model_validate({}).build(training_labels(task, labels, np.full(7, np.nan)))
    found = MarginalLoss(loss, TARGETS, AGREEING)
    found.begin_epoch(1, 10)
    return loss, found


def outputs(rows: int) -> torch.Tensor:
    logits = torch.randn(rows, 6, generator=torch.Generator().manual_seed(0))
    return logits.log_softmax(1).requires_grad_()


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "generalised_cross_entropy"])
def test_without_partial_labels_it_is_the_loss_itself(name: str) -> None:
    loss, marginal = make(name)
    labels, weights, numbers = torch.tensor([0, 3, MISSING, 5]), torch.tensor([1.0, 2, 3, 1]), torch.zeros(4)
    assert marginal(outputs(4), labels, weights, numbers) == loss(outputs(4), labels, weights, numbers)


def test_a_partial_label_counts_as_the_probability_of_all_classes_that_agree() -> None:
    loss, marginal = make()
    log_probs, weights = outputs(5), torch.tensor([1.0, 2.0, 0.5, 4.0, 3.0])
    labels = torch.tensor([2, -9, MISSING, -4, 5])
    found = marginal(log_probs, labels, weights, torch.zeros(5))
    probs = log_probs.exp()
    terms = [-log_probs[0, 2], -probs[1, [1, 3, 5]].sum().log(), -probs[3, [0, 1]].sum().log(), -log_probs[4, 5]]
    expected = sum(w * term for w, term in zip((1.0, 2.0, 4.0, 3.0), terms, strict=True)) / 10
    assert isinstance(expected, torch.Tensor)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    one, other = (torch.autograd.grad(value, log_probs, retain_graph=True)[0] for value in (found, expected))
    torch.testing.assert_close(one, other)
    assert one[2].abs().max() == 0
    assert isinstance(loss, TaskLoss)


def test_where_the_tasks_are_independent_it_is_the_cross_entropy_of_the_known_task() -> None:
    _, marginal = make()
    colour, size = (torch.randn(4, count, generator=torch.Generator().manual_seed(count)) for count in SPACE.sizes)
    joint = torch.stack([colour[:, c] + size[:, s] for c, s in product(range(3), range(2))], dim=1).log_softmax(1)
    found = marginal(joint, torch.full((4,), -9), torch.ones(4), torch.zeros(4))
    assert found.item() == pytest.approx(torch.nn.functional.cross_entropy(size, torch.ones(4).long()).item(), rel=1e-5)


@pytest.mark.parametrize("labels", [[MISSING, MISSING], [MISSING, -9]])
def test_samples_without_labels_or_weight_give_an_exact_zero(labels: list[int]) -> None:
    _, marginal = make()
    log_probs = outputs(2)
    loss = marginal(log_probs, torch.tensor(labels), torch.tensor([1.0, 0.0]), torch.zeros(2))
    loss.backward()
    assert loss.item() == 0
    assert log_probs.grad is not None
    assert (log_probs.grad == 0).all()
