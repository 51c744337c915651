from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from multitask.objective.balance import AnyBalancer, Balancer, Step
from multitask.settings import variant_classes
from multitask.training.checkpoint import load_checkpoint, save_checkpoint

BALANCERS = variant_classes(AnyBalancer)
WEIGHTS = {"mask": 1.0, "gender": 0.5, "age": 0.0}

every_balancer = pytest.mark.parametrize("name", BALANCERS)


def build(name: str) -> Balancer:
    balancer: Balancer = BALANCERS[name]().build(WEIGHTS)  # type: ignore[attr-defined]
    return balancer


def losses_of(shared: Tensor) -> dict[str, Tensor]:
    return {"mask": (shared**2).sum(), "gender": (3 * shared).sum(), "age": shared.exp().sum()}


def back(scalar: Tensor) -> None:
    scalar.backward()


walk_back = Step(back)


@every_balancer
def test_gives_finite_gradients_and_a_detached_finite_total(name: str) -> None:
    shared = torch.tensor([1.0, -2.0], requires_grad=True)
    total = build(name).backward(losses_of(shared), walk_back)
    assert total.shape == ()
    assert not total.requires_grad
    assert torch.isfinite(total)
    assert shared.grad is not None
    assert torch.isfinite(shared.grad).all()
    assert shared.grad.abs().sum() > 0


@every_balancer
def test_walks_back_only_through_what_it_is_given(name: str) -> None:
    scaled = torch.tensor([1.0, -2.0], requires_grad=True)
    plain = torch.tensor([1.0, -2.0], requires_grad=True)
    build(name).backward(losses_of(scaled), Step(lambda scalar: (scalar / 4).backward()))
    build(name).backward(losses_of(plain), walk_back)
    assert scaled.grad is not None
    assert plain.grad is not None
    assert torch.allclose(scaled.grad * 4, plain.grad)


@every_balancer
def test_batch_without_labels_gives_zero_gradients(name: str) -> None:
    shared = torch.tensor([1.0, -2.0], requires_grad=True)
    zeros = {head: loss * 0 for head, loss in losses_of(shared).items()}
    build(name).backward(zeros, walk_back)
    assert shared.grad is not None
    assert (shared.grad == 0).all()


@every_balancer
def test_state_goes_round_through_a_checkpoint(name: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    balancer, path = build(name), tmp_path / "state.safetensors"
    shared = torch.tensor([1.0, -2.0], requires_grad=True)
    balancer.backward(losses_of(shared), walk_back)
    save_checkpoint(path, {"balancer": dict(balancer.state_dict())})
    other = build(name)
    other.load_state_dict(load_checkpoint(path)["balancer"])
    one, two = (torch.tensor([0.5, 0.25], requires_grad=True) for _ in range(2))
    assert torch.equal(balancer.backward(losses_of(one), walk_back), other.backward(losses_of(two), walk_back))
    assert one.grad is not None
    assert two.grad is not None
    assert torch.equal(one.grad, two.grad)


@every_balancer
def test_is_a_module_whose_parameters_an_optimiser_takes(name: str) -> None:
    assert isinstance(build(name), nn.Module)
    assert all(parameter.is_floating_point() for parameter in build(name).parameters())


def test_fixed_is_the_weighted_sum_in_any_order_of_the_heads() -> None:
    shared = torch.tensor([1.0, -2.0], requires_grad=True)
    losses = losses_of(shared)
    total = build("fixed").backward(dict(reversed(losses.items())), walk_back)
    assert float(total) == pytest.approx(1.0 * 5.0 + 0.5 * -3.0)
    assert shared.grad is not None
    assert shared.grad.tolist() == pytest.approx([2 * 1 + 1.5, 2 * -2 + 1.5])
