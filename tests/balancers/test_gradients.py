"""The methods that combine gradients, against hand calculations and what their papers promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from multitask.balancers.base import Step
from multitask.balancers.cagrad import CAGradSettings
from multitask.balancers.mgda import MGDASettings
from multitask.balancers.nash_mtl import NashMTLSettings
from multitask.balancers.pcgrad import PCGradSettings
from multitask.balancers.settings import GradientSettings
from multitask.balancers.upgrad import UPGradSettings

METHODS = [PCGradSettings(), CAGradSettings(), UPGradSettings(), NashMTLSettings(), MGDASettings()]
every_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)

AGAINST = torch.tensor([[1.0, 0.0], [-1.0, 1.0]])
"""Two gradients at 135 degrees."""


@st.composite
def jacobians(draw: Any, num_rows: int | None = None) -> Tensor:
    """(K, 5) gradients of lengths from a hundredth to a hundred, some of them the same or opposite."""
    rows = draw(st.integers(2, 4)) if num_rows is None else num_rows
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    matrix = torch.randn(rows, 5, generator=generator)
    if draw(st.booleans()):
        matrix[1] = draw(st.sampled_from([1.0, -1.0])) * matrix[0]
    scales = [10 ** draw(st.floats(-2, 2)) for _ in range(rows)]
    return matrix * torch.tensor(scales)[:, None]


def combined(method: GradientSettings, jacobian: Tensor, weights: tuple[float, ...] | None = None) -> Tensor:
    """(F,) what reaches the features of a batch of one where the losses' gradients are the rows."""
    names = [str(row) for row in range(len(jacobian))]
    balancer = method.build(dict(zip(names, weights or (1.0,) * len(names), strict=True)))
    features = torch.zeros(1, jacobian.shape[1], requires_grad=True)
    losses = {name: (features[0] * row).sum() + 1 for name, row in zip(names, jacobian, strict=True)}
    balancer.backward(losses, Step(lambda scalar: scalar, features))
    assert features.grad is not None
    return features.grad[0]


# --- all of them ------------------------------------------------------------------------------------------------


@every_method
def test_gradients_that_agree_at_a_right_angle_are_summed_up_to_a_factor(method: GradientSettings) -> None:
    found = combined(method, torch.eye(3))
    assert torch.allclose(found / found.mean(), torch.ones(3), atol=1e-2)
    factor = 1.5 if method.name == "cagrad" else 1.0  # which goes on by c of its length
    assert float(found.mean()) == pytest.approx(factor, rel=1e-2)


@every_method
@settings(deadline=None, max_examples=40)
@given(matrix=jacobians())
def test_any_gradients_give_finite_numbers_and_no_error(method: GradientSettings, matrix: Tensor) -> None:
    assert torch.isfinite(combined(method, matrix)).all()
    assert torch.isfinite(combined(method, matrix * 1e-6)).all()


@every_method
def test_gradients_that_conflict_come_out_otherwise_than_their_sum(method: GradientSettings) -> None:
    found = combined(method, AGAINST)
    assert not torch.allclose(found, AGAINST.sum(dim=0), atol=1e-2)


@every_method
def test_size_of_the_gradients_does_not_matter_beyond_a_factor(method: GradientSettings) -> None:
    """Means over a batch make small gradients, which no solver's tolerance may take for zeros."""
    tiny = combined(method, AGAINST * 2**-14) * 2**14
    assert torch.allclose(tiny, combined(method, AGAINST), rtol=1e-3, atol=1e-3)


@every_method
def test_heads_get_the_plain_sum_of_the_weighted_losses(method: GradientSettings) -> None:
    weights = {"a": 1.0, "b": 3.0} if method.takes_weights else {"a": 1.0, "b": 1.0}
    features = torch.ones(1, 2, requires_grad=True)
    heads = {name: row.clone().requires_grad_() for name, row in zip("ab", AGAINST, strict=True)}
    shared = torch.tensor(0.5, requires_grad=True)  # a head's number that both losses use, as the joint term does
    losses = {name: shared * (features[0] * head).sum() for name, head in heads.items()}
    method.build(weights).backward(losses, Step(lambda scalar: scalar, features))
    for name, head in heads.items():
        assert head.grad is not None
        assert head.grad.tolist() == pytest.approx([weights[name] * 0.5] * 2)
    assert shared.grad == pytest.approx(weights["a"] * 1.0 + weights["b"] * 0.0)


@pytest.mark.parametrize("method", [m for m in METHODS if m.takes_weights], ids=lambda method: method.name)
def test_weights_multiply_the_losses_beforehand(method: GradientSettings) -> None:
    weighted = combined(method, AGAINST, (2.0, 0.5))
    assert torch.allclose(weighted, combined(method, AGAINST * torch.tensor([[2.0], [0.5]])), atol=1e-6)


# --- each of them -----------------------------------------------------------------------------------------------


def test_pcgrad_by_hand() -> None:
    # (1, 0) loses its part against (-1, 1): (1, 0) + (-1, 1) / 2; (-1, 1) loses its part against (1, 0): (0, 1).
    assert combined(PCGradSettings(), AGAINST).tolist() == pytest.approx([0.5, 1.5])
    assert combined(PCGradSettings(), AGAINST.abs()).tolist() == pytest.approx([2.0, 1.0])


@settings(deadline=None, max_examples=40)
@given(matrix=jacobians(num_rows=2))
def test_mgda_is_the_shortest_vector_between_two_gradients(matrix: Tensor) -> None:
    one, other = matrix.double()
    gap = one - other
    share = float(((other @ -gap) / (gap @ gap).clamp(min=1e-12)).clamp(0, 1))  # equation 4 of Sener and Koltun
    shortest = 2 * (share * one + (1 - share) * other)
    found = combined(MGDASettings(), matrix).double()
    assert torch.allclose(found, shortest, atol=2e-2 * float(matrix.norm(dim=1).min()))


@settings(deadline=None, max_examples=40)
@given(matrix=jacobians())
def test_upgrad_opposes_no_gradient(matrix: Tensor) -> None:
    found = combined(UPGradSettings(), matrix)
    slack = 1e-3 * matrix.norm(dim=1) * matrix.norm(dim=1).max()  # the solver regularises
    assert (matrix @ found > -slack).all()


def test_upgrad_by_hand() -> None:
    # As PCGrad of two: each is projected to where it is at a right angle to the other.
    assert combined(UPGradSettings(), AGAINST).tolist() == pytest.approx([0.5, 1.5], abs=2e-3)


@settings(deadline=None, max_examples=25)
@given(matrix=jacobians(num_rows=2), c=st.sampled_from([0.0, 0.2, 0.5, 0.9]))
def test_cagrad_is_the_best_for_the_worst_within_its_ball(matrix: Tensor, c: float) -> None:
    rows = matrix.double()
    mean = rows.mean(dim=0)
    found = combined(CAGradSettings(c=c), matrix).double() / 2
    radius = c * float(mean.norm())
    assert float((found - mean).norm()) <= radius * (1 + 1e-3) + 1e-2 * float(rows.norm(dim=1).max())
    # The dual problem, on a grid: min over w of g_w . g_0 + radius |g_w| is what the worst loss falls by.
    shares = torch.linspace(0, 1, 2001, dtype=torch.float64)[:, None]
    between = shares * rows[0] + (1 - shares) * rows[1]
    best = float((between @ mean + radius * between.norm(dim=1)).min())
    size = float(rows.norm(dim=1).max()) ** 2
    assert float((rows @ found).min()) == pytest.approx(best, abs=2e-2 * size)


@settings(deadline=None, max_examples=60)
@given(matrix=jacobians())
def test_nash_solves_its_equation(matrix: Tensor) -> None:
    rows = matrix.double()
    gramian = rows @ rows.T
    found = NashMTLSettings().solve(gramian)
    lengths = gramian.diagonal().sqrt()
    assert (found > 0).all()
    # G a = 1 / a, in units of each row's length; where rows cancel it is solved up to the millionth of the identity.
    scaled = found * lengths
    cosines = gramian / torch.outer(lengths, lengths)
    left = cosines @ scaled + 1e-6 * scaled
    assert torch.allclose(left * scaled, torch.ones_like(scaled), atol=1e-4)


@settings(deadline=None, max_examples=25)
@given(matrix=jacobians(num_rows=3), place=st.integers(0, 2), scale=st.sampled_from([0.01, 0.5, 30.0]))
def test_nash_goes_the_same_way_however_a_loss_is_scaled(matrix: Tensor, place: int, scale: float) -> None:
    matrix = torch.linalg.qr(matrix.T)[0].T + 0.1  # no two rows cancel
    rescaled = matrix.clone()
    rescaled[place] *= scale
    one, other = (combined(NashMTLSettings(), rows) for rows in (matrix, rescaled))
    assert torch.allclose(one / one.norm(), other / other.norm(), atol=1e-4)


def test_nash_of_two_is_the_sum_of_the_unit_gradients() -> None:
    # Symmetric in units of length, so both count the same: a = 1 / sqrt(1 + cosine).
    jacobian = torch.tensor([[2.0, 0.0], [0.0, 5.0]])
    found = combined(NashMTLSettings(), jacobian)
    assert found[0] == pytest.approx(float(found[1]), rel=1e-5)
    cosine = -1 / np.sqrt(2)
    size = float((combined(NashMTLSettings(), AGAINST) ** 2).sum())
    assert size == pytest.approx(2 * 1.5, rel=1e-4)  # a' G a = K, here in units of the mean square length, 1.5
    assert NashMTLSettings().solve(torch.tensor([[1.0, cosine], [cosine, 1.0]], dtype=torch.float64)).tolist() == (
        pytest.approx([1 / np.sqrt(1 + cosine)] * 2, rel=1e-4)
    )
