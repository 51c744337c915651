"""The exchanges of a training over several processes: of answers, gradients and buffers.

Every rank computes the loss of the whole batch, from the answers of all ranks; its backward pass goes through its own
rows alone, and the gradients are summed. So what a loss or a balancer makes of a batch is what it makes in one process.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from multitask.utils.ranks import Ranks, ranks


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, num: int, *own: Tensor) -> tuple[Tensor, ...]:
        here = ranks()
        ctx.rows = here.rows(num)
        ctx.set_materialize_grads(False)  # what a loss does not ask for has no gradient, as in one process
        widths = [math.prod(values.shape[1:]) for values in own]
        flat = torch.cat([values.reshape(-1, width) for values, width in zip(own, widths, strict=True)], dim=1)
        padded = flat.new_zeros((-(-num // here.size), flat.shape[1]))
        padded[: len(flat)] = flat
        parts = [torch.empty_like(padded) for _ in range(here.size)]
        dist.all_gather(parts, padded)
        spans = [here.rows_of(rank, num) for rank in range(here.size)]
        whole = torch.cat([part[: span.stop - span.start] for part, span in zip(parts, spans, strict=True)])
        columns = whole.split(widths, dim=1)
        return tuple(
            part.reshape(num, *values.shape[1:]).contiguous() for part, values in zip(columns, own, strict=True)
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        return None, *(None if gradient is None else gradient[ctx.rows] for gradient in gradients)


def gather_rows(own: Sequence[Tensor], num: int) -> tuple[Tensor, ...]:
    """The rows of all ranks, (num, ...) of each tensor, in one exchange.

    Args:
        own: of one type, (n, ...), ``Ranks.rows`` of them. Their gradient is that of their own rows: each rank is to
            make the same of what all have, and the gradients of the weights are then to be summed.
        num: of all rows.
    """
    found: tuple[Tensor, ...] = _GatherRows.apply(num, *own)  # type: ignore[no-untyped-call]
    return found


def gather_answers(answers: Mapping[str, Tensor], num: int) -> dict[str, Tensor]:
    """``gather_rows`` of answers, those of a type together."""
    found: dict[str, Tensor] = {}
    for dtype in dict.fromkeys(values.dtype for values in answers.values()):
        own = {name: values for name, values in answers.items() if values.dtype == dtype}
        found |= zip(own, gather_rows(list(own.values()), num), strict=True)
    return {name: found[name] for name in answers}


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
