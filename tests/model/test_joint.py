from __future__ import annotations

import pytest
import torch

from multitask.labels import LabelSpace, Task
from multitask.model import TERMS
from multitask.model.encoder import Encoded, Widths
from multitask.model.joint import JointTerm, Nothing

SPACE = LabelSpace(
    [Task("colour", ("red", "green", "blue")), Task("type", ("a", "b")), Task("size", ("s", "m"))],
    [{"colour": "red", "type": "b"}],
)
POSSIBLE = torch.tensor(SPACE.possible)
every_term = pytest.mark.parametrize("name", TERMS)


def build(name: str, space: LabelSpace = SPACE) -> JointTerm:
    torch.manual_seed(0)
    return TERMS[name]().build(Widths(5, 3), space)  # type: ignore[attr-defined, no-any-return]


def answers(batch: int = 4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        task.name: torch.randn(batch, task.num_classes, generator=generator).log_softmax(1).requires_grad_()
        for task in SPACE.tasks
    }


def moved(term: JointTerm) -> JointTerm:
    """A term that has learned something."""
    with torch.no_grad():
        for parameter in term.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    return term


@every_term
def test_begins_exactly_as_the_factored_model(name: str) -> None:
    found = build(name)(Encoded(torch.randn(4, 5)), answers())
    torch.testing.assert_close(found, SPACE.joint_log_probs(answers()), rtol=0, atol=1e-6)


@every_term
def test_is_normalised_over_the_cells_that_can_occur(name: str) -> None:
    found = moved(build(name))(Encoded(torch.randn(4, 5)), answers())
    assert found.shape == (4, SPACE.num_classes)
    assert (found[:, ~POSSIBLE] == -torch.inf).all()
    torch.testing.assert_close(found.exp().sum(1), torch.ones(4))


@every_term
def test_gradients_are_finite_and_reach_the_heads_and_the_term(name: str) -> None:
    term, given = build(name), answers()
    features = torch.randn(4, 5, requires_grad=True)
    joint = moved(term)(Encoded(features), given)
    possible = joint[:, POSSIBLE]
    (-possible[:, 1]).mean().backward()
    for tensor in (*given.values(), *term.parameters()):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().sum() > 0


def test_a_pairwise_term_is_the_sum_of_its_tables() -> None:
    term = moved(build("pairwise"))
    residual = term.residual(torch.randn(2, 5)).reshape(2, *SPACE.sizes)
    # What no pair tells is nothing: the third difference over all three tasks vanishes.
    third = residual.diff(dim=1).diff(dim=2).diff(dim=3)
    torch.testing.assert_close(third, torch.zeros_like(third), rtol=0, atol=1e-4)
    second = residual.diff(dim=1).diff(dim=2)
    assert second.abs().max() > 1e-2


def test_a_low_rank_terms_residual_has_that_rank() -> None:
    term = moved(build("low_rank"))
    residual = TERMS["low_rank"](rank=2).residual(Widths(5, 3), SPACE)  # type: ignore[attr-defined]
    with torch.no_grad():
        residual[1].weight.normal_()
        values = residual(torch.randn(50, 5))
    assert torch.linalg.matrix_rank(values) == 2
    assert not isinstance(term.residual, Nothing)
