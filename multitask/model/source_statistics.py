"""Batch norm with statistics per source: each source's images are normalised by their own, and all are scaled alike."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from multitask.errors import UserError


class BatchSources:
    """Which sources the images of the batch that is trained on are of; shared by a network's batch norms.

    Attributes:
        rows: per source that the batch holds, its place and (n,) the rows of its images; empty: not known.
        order: (B,) where each image is once those of one source follow another's.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[int, Tensor]] = []
        self.order = torch.empty(0, dtype=torch.int64)

    def update(self, sources: Tensor, device: torch.device) -> None:
        """The batch that is trained on next.

        Args:
            sources: (B,) int64, the place of each image's source; 0 is the target. On the CPU, since how many images a
                source has decides the shapes of all that follows: to look on a GPU would be to wait for it.
            device: the network's.
        """
        rows = [(int(place), torch.nonzero(sources == place)[:, 0]) for place in sources.unique()]
        order = torch.cat([of_source for _, of_source in rows]).argsort()
        self.rows = [(place, of_source.to(device, non_blocking=True)) for place, of_source in rows]
        self.order = order.to(device, non_blocking=True)


class _PerSource(_BatchNorm):
    """What batch norms of any class do besides, once ``keep_per_source`` has changed them.

    The statistics of the target have the usual names, so that evaluation, export and checkpoints know no difference;
    those of the other sources stand in ``other_mean`` and ``other_var``, (S - 1, C).
    """

    batch_sources: BatchSources
    other_mean: Tensor
    other_var: Tensor

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, ...) normalised: each source's images by themselves in training, by the target's statistics else."""
        if not self.training or not self.batch_sources.rows:
            found: Tensor = super().forward(input)
            return found
        parts = [self._of_source(place, input[rows]) for place, rows in self.batch_sources.rows]
        return torch.cat(parts)[self.batch_sources.order]

    def _of_source(self, place: int, images: Tensor) -> Tensor:
        own = self.running_mean, self.running_var
        if place:
            self.running_mean, self.running_var = self.other_mean[place - 1], self.other_var[place - 1]
        # One value has no variance: a lone image at one place is normalised by what is known of its source.
        self.training = images.numel() > images.shape[1]
        try:
            found: Tensor = super().forward(images)
            return found
        finally:
            self.training = True
            self.running_mean, self.running_var = own


def _with_statistics(kind: Any) -> type[Any]:
    return type(f"PerSource{kind.__name__}", (_PerSource, kind), {})


def keep_per_source(backbone: nn.Module, name: str, num_sources: int) -> BatchSources:
    """Changes the batch norms of a backbone so that each of several sources has statistics of its own.

    Domain-specific batch normalisation (Chang et al., CVPR 2019), with one scale and shift for all domains.

    Args:
        backbone: changed in place.
        name: its, for errors.
        num_sources: S; the first is the target.

    Raises:
        UserError: it has no batch norm in a stage that is trained.
    """
    norms: list[Any] = [
        module for module in backbone.modules() if isinstance(module, _BatchNorm) and module.track_running_stats
    ]
    backbone.train()  # but for its frozen stages
    if not any(norm.training for norm in norms):
        why = (
            "every batch norm of {name} is in a frozen stage (model.backbone.freeze)"
            if norms
            else "{name} has no batch norm"
        )
        raise UserError(f"model.batch_norm: per_source would be ignored: {why.format(name=name)}; leave it out")
    batch_sources = BatchSources()
    for norm in norms:
        norm.__class__ = _with_statistics(norm.__class__)
        norm.register_buffer("other_mean", norm.running_mean.repeat(num_sources - 1, 1))
        norm.register_buffer("other_var", norm.running_var.repeat(num_sources - 1, 1))
        norm.batch_sources = batch_sources
    return batch_sources
