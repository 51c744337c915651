"""Checks of a config against its data and network, before the run folder is made."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from multitask.balancers import BalancerSettings
from multitask.data.loading import Batches
from multitask.errors import UserError
from multitask.model.network import Network
from multitask.model.settings import BackboneSettings
from multitask.training.settings import TrainingSettings


def check_balancer(balancer: BalancerSettings, settings: BackboneSettings, network: Network) -> None:
    """Checks that a balancer which looks at shared features has some: that not every stage is frozen.

    Raises:
        UserError: the balancer needs a network that is shared and trained, and there is none.
    """
    if balancer.needs_features and network.backbone.frozen:
        raise UserError(
            f"balancer: {balancer.name} needs features that all heads share and train, but "
            f"model.backbone.freeze is {settings.freeze}, all stages of {settings.name}"
        )


def check_accumulate(training: TrainingSettings, num_batches: int) -> None:
    """Checks that a step needs no more batches than an epoch has, and that checkpoints within it are ever written.

    Raises:
        UserError: it does, or none is.
    """
    if training.accumulate > num_batches:
        raise UserError(
            f"training.accumulate: must be at most the number of batches in an epoch ({num_batches:,} of "
            f"{training.batch_size} images), found {training.accumulate}"
        )
    steps = -(-num_batches // training.accumulate)
    if training.checkpoint_steps is not None and training.checkpoint_steps >= steps:
        raise UserError(
            f"training.checkpoint_steps: {training.checkpoint_steps} would be ignored: an epoch has {steps} "
            f"{'step' if steps == 1 else 'steps'}, and after its last there is a checkpoint anyway"
        )


def check_consistency(tasks: Sequence[str], batches: Batches) -> None:
    """Checks that a consistency loss, where there is one, has groups to compare: that batches hold two images of one.

    Args:
        tasks: those that it is of.
        batches: the training samples.

    Raises:
        UserError: in the first epoch none does.
    """
    if tasks and not batches.share_paired(1):
        raise UserError(
            "training.consistency: would be ignored: no batch holds two images of a group; "
            "set data.sampler to {name: per_group, num: 2, of: group, together: true}, or training.batch_size higher"
        )


def check_smallest_batch(
    network: Network,
    backbone: str,
    image_size: tuple[int, int],
    batch_size: int,
    batches: Batches,
    num_parts: int = 1,
) -> None:
    """Checks that a batch of one image, where there is one, leaves no batch norm with one value per channel.

    Args:
        network: on its device.
        backbone: its backbone's name.
        image_size: height and width in pixels.
        batch_size: the setting.
        batches: the training samples.
        num_parts: of each batch that are normalised each by itself: of processes.

    Raises:
        UserError: it does; such a network cannot be trained on it.
    """
    if batches.num_images // batches.num_batches // num_parts > 1:  # parts differ by at most one image
        return
    network.train()
    alone = _norms_of_one_value(network, image_size)
    if alone:
        height, width = image_size
        raise UserError(
            f"training.batch_size: {batch_size} leaves one of {batches.num_images:,} images alone in a "
            f"batch{'' if num_parts == 1 else f' or in its part of {num_parts}'}, of which {backbone} at {height} x "
            f"{width} px has one value per channel ({alone[0]}), and batch norm cannot be trained on that; use larger "
            "batches or a larger data.image_size"
        )


def _norms_of_one_value(network: Network, image_size: tuple[int, int]) -> list[str]:
    """The names of the batch norms that are trained and get one value per channel of one image."""
    trained = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training
    }
    alone: list[str] = []
    with ExitStack() as hooks, torch.no_grad():
        for name, module in trained.items():

            def look(module: nn.Module, args: tuple[Tensor, ...], name: str = name) -> None:
                if args[0].numel() == args[0].shape[1]:
                    alone.append(name)

            hooks.callback(module.register_forward_pre_hook(look).remove)
        if trained:
            network.eval()
            network(torch.zeros(1, 3, *image_size, device=next(network.parameters()).device))
            network.train()
    return alone
