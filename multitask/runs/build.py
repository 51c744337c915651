"""The network and the trainer that a config describes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from multitask.config import Config
from multitask.errors import UserError
from multitask.model.network import ByTask, Heads, Network
from multitask.model.source_statistics import keep_per_source
from multitask.model.sync_batch_norm import synchronise
from multitask.runs.build_losses import build_consistency, build_losses
from multitask.runs.data_module import DataModule
from multitask.runs.several_processes import in_shards
from multitask.training.device import resolve_device, resolve_precision
from multitask.training.distributed import broadcast_state
from multitask.training.kept_weights import load_kept
from multitask.training.loop import Trainer
from multitask.training.sharded_tensors import is_sharded
from multitask.training.state import check_state, put_state
from multitask.utils.ranks import Ranks, ranks
from multitask.utils.seeds import derive


def build_network(config: Config, device: torch.device, pretrained: bool = True) -> Network:
    """The network of a config.

    Args:
        config: the run's.
        device: where it goes.
        pretrained: False where a checkpoint's weights follow.

    Raises:
        UserError: the backbone cannot be built, or its weights do not fit.
    """
    torch.manual_seed(derive(config.seed, "weights"))
    learned = config.learned_space()
    backbone = config.model.sharing.build(config.model.backbone, config.data.image_size, learned.task_names, pretrained)
    batch_sources = None
    if config.model.batch_norm == "per_source":
        batch_sources = keep_per_source(backbone, config.model.backbone.name, len(config.data.source_names))
    elif config.model.batch_norm == "synchronised" and ranks().size > 1 and not synchronise(backbone):
        name = config.model.backbone.name
        raise UserError(f"model.batch_norm: synchronised would be ignored: {name} has no batch norm; leave it out")
    nets = {name: head.net for name, head in config.heads.items()}
    term = None if config.joint is None else config.joint.term
    network = Network(backbone, learned, nets, term)
    network.batch_sources = batch_sources
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.to(device)


def load_weights(network: nn.Module, path: Path) -> None:
    """Puts a checkpoint's weights into a network.

    Raises:
        UserError: the checkpoint is missing, damaged, or another network's.
    """
    _put(network, load_kept(path), path)


def load_weights_over_ranks(network: nn.Module, path: Path) -> None:
    """As ``load_weights``, of a file that rank 0 can read."""
    here = ranks()
    if any(is_sharded(weight) for weight in network.parameters()):
        _put(network, here.from_main(lambda: load_kept(path)), path)
        return
    here.from_main(lambda: load_weights(network, path))
    if here.size > 1:
        broadcast_state(network)


def _put(network: nn.Module, state: Mapping[str, Any], path: Path) -> None:
    try:
        check_state(network.state_dict(), state["network"])
        put_state(network, state["network"])
    except (ValueError, RuntimeError, KeyError) as error:
        raise UserError(f"{path}: does not fit the run's network: {str(error).splitlines()[0]}") from None


def built_on(config: Config, device: torch.device, here: Ranks) -> torch.device:
    """Where the network of a training is built: on its device, or on the CPU where that is to hold a part alone."""
    return torch.device("cpu") if in_shards(config.training, here) else device


def build_trainer(
    config: Config, data: DataModule, network: Network, num_batches: int, device: torch.device | None = None
) -> Trainer:
    """A network with its losses, balancer and optimiser, ready to be trained on ``num_batches`` an epoch.

    Where the batches hold features, the trainer's network is what comes after the frozen part of this one.

    Args:
        config: the run's.
        data: the run's.
        network: as ``build_network`` gives it, on the device that ``built_on`` says.
        num_batches: of an epoch.
        device: of the training; None: the network's.
    """
    device = device or next(network.parameters()).device
    replicas = None
    if in_shards(config.training, ranks()):
        from multitask.training.shards import Shards  # torch's own modules behind it load slowly

        replicas = Shards(device, config.data.image_size, config.model.backbone.name)
    balancer = config.balancer.build(config.loss_weights())
    trained: Heads = network
    if data.trained_stages is not None:
        trained = network.after_frozen(data.trained_stages)
    elif data.served_rows is not None:
        trained = network.after_backbone(data.served_rows)
    return Trainer(
        trained,
        ByTask(build_losses(config.objective(), data.dataset.training_samples())).to(device),
        balancer.to(device),
        config.training,
        data.normaliser,
        config.augment.mix,
        config.seed,
        num_batches,
        network.fixed_state(trained),
        config.learned_space(),
        build_consistency(config.training.consistency, data.consistent_tasks),
        replicas,
    )


class TrainingSetup:
    """Networks with random weights and their trainers, as many as are asked for, to be measured rather than kept.

    Args:
        config: the run's.
        data: the run's, or that of another one which serves the same.

    Attributes:
        data: as given.
        device: the config's.
        dtype: what networks compute in on it.
    """

    def __init__(self, config: Config, data: DataModule) -> None:
        self._config = config
        self.data = data
        self.device = resolve_device(config.device)
        self.dtype = resolve_precision(config.training.precision, self.device)

    def network(self, device: torch.device | None = None) -> Network:
        """A network, the same each time; None: on the config's device."""
        return build_network(self._config, device or self.device, pretrained=False)

    def trainer(self, num_batches: int, network: Network | None = None) -> Trainer:
        """The trainer of a network, to be trained on ``num_batches`` an epoch; None: of one of its own."""
        return build_trainer(self._config, self.data, network or self.network(), num_batches)
