"""The network and the trainer that a config describes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor, nn

from multitask.config import Config
from multitask.data.loading import Batches
from multitask.errors import UserError
from multitask.model.network import ByTask, Network
from multitask.runs.build_losses import build_losses
from multitask.runs.data_module import DataModule
from multitask.training.checkpoint import load_checkpoint
from multitask.training.loop import Trainer
from multitask.training.state import check_state
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
    nets = {name: head.net for name, head in config.heads.items()}
    term = None if config.joint is None else config.joint.term
    network = Network(backbone, learned, nets, term)
    return network.to(memory_format=torch.channels_last).to(device)  # type: ignore[call-overload]


def check_smallest_batch(network: Network, config: Config, batches: Batches) -> None:
    """Checks that a batch of one picture, where there is one, leaves no batch norm with one value per channel.

    Raises:
        UserError: it does; such a network cannot be trained on it.
    """
    if batches.num_images // batches.num_batches > 1:  # batches differ by at most one picture
        return
    network.train()
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
            network(torch.zeros(1, 3, *config.data.image_size, device=next(network.parameters()).device))
            network.train()
    if alone:
        height, width = config.data.image_size
        raise UserError(
            f"training.batch_size: {config.training.batch_size} leaves one of {batches.num_images} pictures alone in a "
            f"batch, of which {config.model.backbone.name} at {height} x {width} px has one value per channel "
            f"({alone[0]}), and batch norm cannot be trained on that; use larger batches or a larger data.image_size"
        )


def load_weights(network: nn.Module, path: Path) -> None:
    """Puts a checkpoint's weights into a network.

    Raises:
        UserError: the checkpoint is missing, damaged, or another network's.
    """
    state = load_checkpoint(path)
    try:
        check_state(network.state_dict(), state["network"])
        network.load_state_dict(state["network"])
    except (ValueError, RuntimeError, KeyError) as error:
        raise UserError(f"{path}: does not fit the run's network: {str(error).splitlines()[0]}") from None


def build_trainer(config: Config, material: DataModule, network: Network, num_batches: int) -> Trainer:
    """A network with its losses, balancer and optimiser, ready to be trained on ``num_batches`` an epoch.

    Where the batches hold features, the trainer's network is what comes after the backbone of this one.
    """
    device = next(network.parameters()).device
    balancer = config.balancer.build(config.loss_weights())
    return Trainer(
        network.after_backbone() if material.serves_features else network,
        ByTask(build_losses(config.objective(), material.training_samples())).to(device),
        balancer.to(device),
        config.training,
        material.normaliser,
        config.augment.mix,
        config.seed,
        num_batches,
        network.fixed_state(),
        config.learned_space(),
    )
