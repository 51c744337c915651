"""The exchanges of a training over several processes, between real ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from multitask.training.distributed import gather_answers, sum_gradients
from multitask.utils.ranks import ranks
from tests.over_ranks import over_ranks

NUM = 5  # rows, of which two processes have 3 and 2

ANSWERS = {
    "mask": torch.arange(3.0 * NUM).view(NUM, 3),
    "half": torch.arange(2.0 * NUM).view(NUM, 2).bfloat16(),
    "age": torch.arange(1.0 * NUM),
    "joint": torch.arange(4.0 * NUM).view(NUM, 2, 2),
}


def counted(name: str, calls: list[str]) -> Any:
    """A patch under which calls of one of torch's exchanges are counted."""
    exchange: Callable[..., Any] = getattr(dist, name)

    def one(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return exchange(*args, **kwargs)

    return patch.object(dist, name, one)


def own_answers() -> dict[str, Tensor]:
    rows = ranks().rows(NUM)
    return {name: values[rows].clone().requires_grad_() for name, values in ANSWERS.items()}


def test_answers_of_all_rows_come_in_one_exchange_of_each_type() -> None:
    def work(rank: int) -> Any:
        calls: list[str] = []
        with counted("all_gather", calls):
            found = gather_answers(own_answers(), NUM)
        return calls, {name: values.detach().float().numpy() for name, values in found.items()}

    for calls, found in over_ranks(2, work):
        assert calls == ["all_gather"] * 2
        assert list(found) == list(ANSWERS)
        for name, values in ANSWERS.items():
            assert (found[name] == values.float().numpy()).all()


def test_a_process_without_a_row_has_those_of_the_others() -> None:
    def work(rank: int) -> Any:
        own = {name: values[ranks().rows(1)] for name, values in ANSWERS.items()}
        return {name: values.float().numpy() for name, values in gather_answers(own, 1).items()}

    for found in over_ranks(2, work):
        for name, values in ANSWERS.items():
            assert (found[name] == values[:1].float().numpy()).all()


def test_each_answer_has_the_gradient_of_its_own_rows_and_none_where_no_loss_asks_for_it() -> None:
    weights = torch.arange(3.0 * NUM).view(NUM, 3)

    def work(rank: int) -> Any:
        own = own_answers()
        (gather_answers(own, NUM)["mask"] * weights).sum().backward()
        return {name: None if part.grad is None else part.grad.numpy() for name, part in own.items()}

    first, second = over_ranks(2, work)
    assert (first["mask"] == weights[:3].numpy()).all()
    assert (second["mask"] == weights[3:].numpy()).all()
    assert all(found[name] is None for found in (first, second) for name in ("half", "age", "joint"))


@pytest.mark.parametrize("size", [2, 3])
def test_gradients_become_sums_and_those_of_shared_weights_means_in_one_exchange(size: int) -> None:
    def work(rank: int) -> Any:
        draws = torch.Generator().manual_seed(rank)
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)).to(memory_format=torch.channels_last)
        weights = list(network.parameters())
        before = [torch.randn(weight.shape, generator=draws) for weight in weights]
        for weight, gradient in zip(weights, before, strict=True):
            weight.grad = torch.empty_like(weight).copy_(gradient)  # as autograd lays it out
        without, shared = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
        shared.grad = torch.tensor([1.0, 2.0])
        calls: list[str] = []
        with counted("all_reduce", calls):
            sum_gradients([*weights, without], [shared], ranks())
        assert without.grad is None
        assert shared.grad.tolist() == pytest.approx([1.0, 2.0])
        after = [weight.grad.detach().numpy() for weight in weights if weight.grad is not None]
        return len(calls), [gradient.numpy() for gradient in before], after

    found = over_ranks(size, work)
    for place, parts in enumerate(zip(*[before for _, before, _ in found], strict=True)):
        for calls, _, after in found:
            assert calls == 1
            assert after[place] == pytest.approx(sum(parts), abs=1e-6)
