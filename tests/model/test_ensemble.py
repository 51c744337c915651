"""A vote of networks: the mean of their log-probabilities, normalised again."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from multitask.labels import LabelSpace, Task
from multitask.model.ensemble import Ensemble, vote

SPACE = LabelSpace([Task("colour", ("red", "green", "blue")), Task("shape", ("round", "square"))])


class Says(nn.Module):
    """Answers the same whatever it sees."""

    def __init__(self, **answers: Tensor) -> None:
        super().__init__()
        self.answers = answers

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self.answers


def test_vote_is_the_normalised_geometric_mean() -> None:
    one, two = torch.tensor([[0.9, 0.1]]), torch.tensor([[0.1, 0.9], [0.5, 0.5]])[:1]
    assert vote([one.log(), two.log()]).exp() == pytest.approx(torch.tensor([[0.5, 0.5]]), abs=1e-6)
    # sqrt(.8 * .5) = .632, sqrt(.2 * .5) = .316
    found = vote([torch.tensor([[0.8, 0.2]]).log(), torch.tensor([[0.5, 0.5]]).log()]).exp()
    assert found == pytest.approx(torch.tensor([[2 / 3, 1 / 3]]), abs=1e-6)


@given(st.integers(1, 5), st.integers(0, 10**6))
@settings(deadline=None, max_examples=50)
def test_logits_count_as_their_log_probabilities_and_the_order_of_voters_does_not(voters: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = [3 * torch.randn(4, 3, generator=generator) for _ in range(voters)]
    found = vote(logits)
    torch.testing.assert_close(found.exp().sum(dim=1), torch.ones(4))
    torch.testing.assert_close(vote([values + 7.5 for values in logits]), found)
    torch.testing.assert_close(vote([values.log_softmax(dim=1) for values in logits]), found)
    torch.testing.assert_close(vote(logits[::-1]), found)
    torch.testing.assert_close(vote([logits[0]] * 3), logits[0].log_softmax(dim=1))


def test_class_that_one_holds_for_impossible_gets_nothing_and_the_others_stay_finite() -> None:
    found = vote([torch.tensor([[0.0, 0.0, -math.inf]]), torch.tensor([[0.0, 1.0, 2.0]])])
    assert found[0, 2] == -math.inf
    assert torch.isfinite(found[0, :2]).all()
    assert found.exp().sum() == pytest.approx(1)


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=30)
def test_vote_of_heads_is_the_vote_of_their_products(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    members = [
        {task.name: torch.randn(5, task.num_classes, generator=generator).log_softmax(dim=1) for task in SPACE.tasks}
        for _ in range(3)
    ]
    forward_heads = Ensemble([Says(**member) for member in members])(torch.zeros(5, 3, 2, 2))
    joint = vote([SPACE.joint_log_probs(member) for member in members])
    torch.testing.assert_close(SPACE.joint_log_probs(forward_heads), joint)


def test_half_precision_answers_are_voted_on_in_full() -> None:
    found = Ensemble([Says(a=torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16))])(torch.zeros(1, 3, 2, 2))["a"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor([[1.0, 2.0]]).log_softmax(dim=1))
