from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from multitask.model import TERMS, TermSettings
from multitask.model.encoder import Widths
from multitask.model.joint import JointTerm, Nothing
from multitask.testing.joint_terms import SPACE, TERM_CHECKS, built, moved


def build(name: str) -> JointTerm:
    return built(TERMS[name](name=name))


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("check", TERM_CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract(check: Callable[[TermSettings], None], name: str) -> None:
    check(TERMS[name](name=name))


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
