"""The trained networks of a run: its own, those of its folds, or those of an ensemble of runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from multitask.data.tiles import tile_slices
from multitask.model.ensemble import Ensemble
from multitask.model.opinion_pool import OpinionPool, PoolMember
from multitask.runs.build import build_network, load_weights
from multitask.runs.config import TrainedRun
from multitask.runs.cross_validation import members
from multitask.runs.ensemble_parts import distinct_tiles, ensemble_form, ensemble_parts, read_ensemble
from multitask.training.device import autocast, resolve_device, resolve_precision
from multitask.training.memory import keep_freed_memory


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A run's network, or those of its folds as an ensemble, in evaluation mode.

    Attributes:
        network: (B, 3, H, W) to {head: (B, C_t) log-probabilities}.
        device: that it is on.
        dtype: that it computes in.
    """

    network: nn.Module
    device: torch.device
    dtype: torch.dtype

    @contextmanager
    def computing(self) -> Iterator[None]:
        """For the calling thread: no gradients, and the run's precision."""
        with torch.inference_mode(), autocast(self.device, self.dtype):
            yield


def load_network(trained: TrainedRun) -> LoadedNetwork:
    """The network of a run, from its checkpoints.

    Raises:
        UserError: a fold is not finished; a checkpoint is missing or damaged.
    """
    if parts := ensemble_parts(trained):
        return _load_pool(trained, parts)
    device = resolve_device(trained.config.device)
    keep_freed_memory()
    networks = []
    for member in members(trained):
        network = build_network(member.config, device, pretrained=False)
        load_weights(network, member.folder.best)
        networks.append(network.eval())
    whole = networks[0] if trained.folder.num_folds is None else Ensemble(networks)
    return LoadedNetwork(whole, device, resolve_precision(trained.config.training.precision, device))


def _load_pool(trained: TrainedRun, parts: Sequence[TrainedRun]) -> LoadedNetwork:
    """The networks of an ensemble's members as one; its images are tiles of values from 0 to 1."""
    tiles, places = distinct_tiles(parts)
    slices = tile_slices(tiles)
    opened = [load_network(part) for part in parts]
    members = [
        PoolMember(
            found.network,
            slices[place],
            *part.config.model.backbone.normalisation(),
            part.config.learned_space(),
            part.config.evaluation().joint_term,
        )
        for found, part, place in zip(opened, parts, places, strict=True)
    ]
    pool = OpinionPool(members, ensemble_form(trained.config), read_ensemble(trained.folder).mixing)
    device = opened[0].device
    dtypes = {found.dtype for found in opened}
    return LoadedNetwork(pool.to(device).eval(), device, dtypes.pop() if len(dtypes) == 1 else torch.float32)


@contextmanager
def loaded(trained: TrainedRun) -> Iterator[tuple[nn.Module, torch.device]]:
    """The network of a run and its device, for the calling thread to compute with; errors as ``load_network``."""
    found = load_network(trained)
    with found.computing():
        yield found.network, found.device
