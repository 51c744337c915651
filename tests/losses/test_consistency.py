from __future__ import annotations

import math

import pytest
import torch

from multitask.losses.consistency import Consistency

GROUPS = torch.tensor([5, 9, 5, 9, 9, 2]).unsqueeze(1)


def log_probs(seed: int = 0) -> torch.Tensor:
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(seed)).log_softmax(dim=1)


def test_it_is_the_mean_divergence_from_the_groups_mean_over_images_that_are_not_alone() -> None:
    logs = log_probs()
    expected = 0.0
    for group in (5, 9):
        inside = logs[(group == GROUPS).squeeze(1)].exp()
        mean = inside.mean(dim=0)
        expected += float((inside * (inside / mean).log()).sum())
    found = Consistency(["age"], 2.0)({"age": logs}, GROUPS)
    assert found["age"].item() == pytest.approx(2.0 * expected / 5)


def test_images_alone_cost_nothing_and_have_no_gradient() -> None:
    logits = torch.randn(3, 2, requires_grad=True)
    loss = Consistency(["age"], 1.0)({"age": logits.log_softmax(dim=1)}, torch.arange(3).unsqueeze(1))["age"]
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_an_impossible_label_makes_no_nan() -> None:
    logs = torch.tensor([[0.0, -math.inf], [-math.inf, 0.0]], requires_grad=True)
    loss = Consistency(["age"], 1.0)({"age": logs}, torch.zeros(2, 1))["age"]
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert logs.grad is not None
    assert logs.grad.isfinite().all()


def test_a_step_brings_a_group_together() -> None:
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(2)).requires_grad_()
    consistency = Consistency(["age"], 1.0)
    before = consistency({"age": logits.log_softmax(dim=1)}, GROUPS)["age"]
    before.backward()
    assert logits.grad is not None
    after = consistency({"age": (logits - logits.grad).log_softmax(dim=1)}, GROUPS)["age"]
    assert after < before


def test_each_task_has_groups_of_its_own_and_what_has_none_counts_nothing() -> None:
    groups = torch.tensor([[5, -1], [5, -1], [-1, 7], [-1, 7], [-1, -1]])
    logits = torch.randn(5, 2, generator=torch.Generator().manual_seed(3)).requires_grad_()
    logs = logits.log_softmax(dim=1)
    found = Consistency(["age", "gender"], 1.0)({"age": logs, "gender": logs.detach()}, groups)
    alone = Consistency(["age"], 1.0)
    assert found["age"].item() == pytest.approx(alone({"age": logs[:2]}, groups[:2, :1])["age"].item())
    assert found["gender"].item() == pytest.approx(alone({"age": logs[2:4]}, groups[2:4, 1:])["age"].item())
    found["age"].backward()
    assert logits.grad is not None
    assert logits.grad.any(dim=1).tolist() == [True, True, False, False, False]
