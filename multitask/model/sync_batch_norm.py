"""Batch norm over the batch of all processes, on any device: torch's own ``SyncBatchNorm`` works on GPUs alone."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class _SumOverRanks(torch.autograd.Function):
    """The sum over ranks; of what each rank's part of the loss has for a gradient, the sum as well."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


class _Synchronised(_BatchNorm):
    """What batch norms of any class do besides, once ``synchronise`` has changed them."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, ...) normalised by the mean and the variance over the rows of all ranks in training."""
        if not self.training:
            found: Tensor = super().forward(input)
            return found
        values = input.float()
        dims = [0, *range(2, input.ndim)]
        shape = [1, -1, *[1] * (input.ndim - 2)]
        count = values.new_full((1,), values.numel() / values.shape[1])
        first: Tensor = _SumOverRanks.apply(torch.cat([values.sum(dims), count]))  # type: ignore[no-untyped-call]
        total = first[-1].detach()
        mean = first[:-1] / total
        # About the mean, not from the squares, which would lose digits.
        centred = values - mean.view(shape)
        var: Tensor = _SumOverRanks.apply(centred.square().sum(dims)) / total  # type: ignore[no-untyped-call]
        if self.track_running_stats and self.running_mean is not None:
            self._track(mean.detach(), var.detach() * total / (total - 1).clamp(min=1))
        normalised = (centred * torch.rsqrt(var.view(shape) + self.eps)).to(input.dtype)
        return self._scaled(normalised)

    def _track(self, mean: Tensor, var: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(var, share)

    def _scaled(self, normalised: Tensor) -> Tensor:
        """What the class makes of normalised values: scale and shift, and with timm's an activation."""
        own = self.running_mean, self.running_var
        channels = normalised.shape[1]
        self.running_mean = torch.zeros(channels, device=normalised.device)
        self.running_var = torch.full((channels,), 1.0 - self.eps, device=normalised.device)
        self.training = False
        try:
            found: Tensor = super().forward(normalised)
            return found
        finally:
            self.training = True
            self.running_mean, self.running_var = own


def _synchronised(kind: Any) -> type[Any]:
    return type(f"Synchronised{kind.__name__}", (_Synchronised, kind), {})


def synchronise(network: nn.Module) -> int:
    """Changes the batch norms of a network so that in training they normalise by the rows of all ranks.

    Their state keeps its names, and in evaluation they are what they were.

    Returns:
        How many there are.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    classes = {kind: _synchronised(kind) for kind in {type(norm) for norm in norms}}
    for norm in norms:
        norm.__class__ = classes[type(norm)]
    return len(norms)
