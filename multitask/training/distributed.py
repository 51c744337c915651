"""The exchanges of a training over several processes: of answers, gradients and buffers.

Every rank computes the loss of the whole batch, from the answers of all ranks; its backward pass goes through its own
rows alone, and the gradients are summed. So what a loss or a balancer makes of a batch is what it makes in one process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from multitask.utils.ranks import Ranks, ranks


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, num: int) -> Tensor:
        here = ranks()
        ctx.rows = here.rows(num)
        longest = -(-num // here.size)
        padded = own.new_zeros((longest, *own.shape[1:]))
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in range(here.size)]
        dist.all_gather(parts, padded)
        spans = [here.rows_of(rank, num) for rank in range(here.size)]
        return torch.cat([part[: span.stop - span.start] for part, span in zip(parts, spans, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return gradient[ctx.rows], None


def gather_rows(own: Tensor, num: int) -> Tensor:
    """The rows of all ranks, (num, ...).

    Args:
        own: (n, ...), ``Ranks.rows`` of them. Its gradient is that of its own rows: each rank is to make the same of
            what all have, and the gradients of the weights are then to be summed.
        num: of all rows.
    """
    found: Tensor = _GatherRows.apply(own, num)  # type: ignore[no-untyped-call]
    return found


def gather_answers(answers: Mapping[str, Tensor], num: int) -> dict[str, Tensor]:
    """``gather_rows`` of each."""
    return {name: gather_rows(values, num) for name, values in answers.items()}


def summed(values: Tensor) -> Tensor:
    """The sum over ranks of a tensor that is part of no graph."""
    total = values.detach().clone()
    dist.all_reduce(total)
    return total


def sum_gradients(own: Iterable[Tensor], shared: Iterable[Tensor], here: Ranks) -> None:
    """Sums the gradients over the ranks, in place.

    Args:
        own: the weights that answers come from.
        shared: those behind the gathered answers, whose gradients are the same on every rank already, up to how a
            device rounds: they become the mean, so that the ranks never part.
        here: the place of this process.
    """
    pairs = [(weight.grad, weight.grad) for weight in own if weight.grad is not None]
    pairs += [(weight.grad / here.size, weight.grad) for weight in shared if weight.grad is not None]
    for dtype in dict.fromkeys(value.dtype for value, _ in pairs):
        chosen = [pair for pair in pairs if pair[0].dtype == dtype]
        flat = torch.cat([value.reshape(-1) for value, _ in chosen])
        dist.all_reduce(flat)
        for found, (_, target) in zip(flat.split([value.numel() for value, _ in chosen]), chosen, strict=True):
            target.copy_(found.view(target.shape))


def broadcast_buffers(*networks: nn.Module | None) -> None:
    """Gives every rank the buffers of rank 0: statistics of batch norm are those of its rows."""
    for network in networks:
        for buffer in network.buffers() if network is not None else ():
            _broadcast(buffer)


def broadcast_state(network: nn.Module) -> None:
    """Gives every rank the weights and buffers of rank 0."""
    for value in network.state_dict().values():
        _broadcast(value)


@torch.no_grad()
def _broadcast(value: Tensor) -> None:
    flat = value.detach().contiguous()
    dist.broadcast(flat, src=0)
    value.copy_(flat)
