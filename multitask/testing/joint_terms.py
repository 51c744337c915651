"""The contract of joint terms."""

from __future__ import annotations

import torch
from torch import Tensor

from multitask.labels import LabelSpace, Task
from multitask.model import TermSettings
from multitask.model.encoder import Encoded, Widths
from multitask.model.joint import JointTerm
from multitask.testing.expect import expect, expect_equal

SPACE = LabelSpace(
    [Task("colour", ("red", "green", "blue")), Task("type", ("a", "b")), Task("size", ("s", "m"))],
    [{"colour": "red", "type": "b"}],
)
"""Twelve classes, two of which cannot occur."""
POSSIBLE = torch.tensor(SPACE.possible)


def built(settings: TermSettings) -> JointTerm:
    """The term of ``SPACE``, on five pooled features."""
    torch.manual_seed(0)
    return settings.build(Widths(5, 3), SPACE)


def drawn(batch: int = 4) -> dict[str, Tensor]:
    """What heads may say: per task (batch, C_t) log-probabilities, leaves that want their gradients."""
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


def begins_exactly_as_the_factored_model(settings: TermSettings) -> None:
    """Its residual is 0 when training begins."""
    found = built(settings)(Encoded(torch.randn(4, 5)), drawn())
    expect_equal(found, SPACE.joint_log_probs(drawn()), settings, "begin as the product of the heads, exactly", 1e-6)


def is_normalised_over_the_cells_that_can_occur(settings: TermSettings) -> None:
    """Whatever it has learned."""
    found = moved(built(settings))(Encoded(torch.randn(4, 5)), drawn())
    expect(found.shape == (4, SPACE.num_classes), settings, f"give (4, {SPACE.num_classes}), not {tuple(found.shape)}")
    expect((found[:, ~POSSIBLE] == -torch.inf).all(), settings, "exclude cells that cannot occur")
    expect_equal(found.exp().sum(1), torch.ones(4), settings, "give probabilities that sum to 1", 1e-5, 1.3e-6)


def gradients_are_finite_and_reach_the_heads_and_the_term(settings: TermSettings) -> None:
    """So that both learn."""
    term, given = built(settings), drawn()
    joint = moved(term)(Encoded(torch.randn(4, 5, requires_grad=True)), given)
    (-joint[:, POSSIBLE][:, 1]).mean().backward()
    for name, tensor in {**given, **dict(term.named_parameters())}.items():
        right = tensor.grad is not None and bool(torch.isfinite(tensor.grad).all() and tensor.grad.abs().sum() > 0)
        expect(right, settings, f"give {name} a finite gradient other than 0")


TERM_CHECKS = (
    begins_exactly_as_the_factored_model,
    is_normalised_over_the_cells_that_can_occur,
    gradients_are_finite_and_reach_the_heads_and_the_term,
)
"""What is checked of a joint term, each alone."""


def check_joint_term(settings: TermSettings) -> None:
    """The contract of joint terms, whole, over one of them.

    >>> from multitask.model import TERMS
    >>> check_joint_term(TERMS["low_rank"]())

    Raises:
        AssertionError: it does not keep it; the message says what was expected.
    """
    for check in TERM_CHECKS:
        check(settings)
