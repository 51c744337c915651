"""What a contender costs: memory, which is counted and so the same on every machine, and speed, which is measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from multitask.config import Config
from multitask.data.loading import Batch, Batches
from multitask.progress import Progress
from multitask.reporting.bakeoff.report_schema import TrainingMemory
from multitask.runs.build import build_network, build_trainer
from multitask.runs.data_module import DataModule
from multitask.training.device import resolve_device, resolve_precision
from multitask.utils.files import write_atomically
from multitask.utils.records import ONLY_IF_KNOWN, Number, read_record, record_to_json

_FEW = (4, 8)
"""Batch sizes from which the memory of larger ones is reckoned, since it grows by the same with every picture."""
_WARM_BATCHES = 2
_ANSWERED_BATCHES = 3
_ROUNDS = 5


def training_memory(config: Config, reuse: Path) -> TrainingMemory:
    """Bytes that one training batch of the config's size takes, in 32-bit numbers on a CPU.

    What is counted: parameters, gradients, the optimiser's state after a step, and the activations that are saved for
    the walk back. Weights saved there are parameters and count once.

    Args:
        config: the contender's.
        reuse: where decoded pictures are kept.

    Raises:
        UserError: network, losses or data are not as they must be.
    """
    material = DataModule(config, reuse)
    wanted = min(config.training.batch_size, len(material.split.train))
    few, more = (_one_batch(config, material, min(size, wanted)) for size in _FEW)
    each = (more["activations"] - few["activations"]) // max(min(_FEW[1], wanted) - min(_FEW[0], wanted), 1)
    found = {**more, "activations": more["activations"] + each * max(wanted - _FEW[1], 0)}
    return TrainingMemory(**found, total=sum(found.values()), batch_size=wanted)


def _one_batch(config: Config, material: DataModule, size: int) -> dict[str, int]:
    device = torch.device("cpu")
    network = build_network(config, device, pretrained=False)
    served = material.batches("train", Progress(), device, train=True, indices=material.split.train[:size])
    trainer = build_trainer(config, material, network, served.num_batches)
    own = {value.untyped_storage().data_ptr() for value in (*network.parameters(), *network.buffers())}
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = max(storage.nbytes(), saved.get(storage.data_ptr(), 0))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        trainer.train_epoch(1, served, Progress())
    state = (value for kept in trainer.optimizer.state.values() for value in kept.values() if isinstance(value, Tensor))
    return {
        "parameters": sum(_bytes(value) for value in network.parameters()),
        "gradients": sum(_bytes(value) for value in trainer.parameters if value.requires_grad),
        "optimizer": sum(map(_bytes, state)),
        "activations": sum(saved.values()),
    }


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def training_speed(config: Config, reuse: Path) -> float:
    """Images per second of an epoch that is measured, after a few batches that are not.

    Raises:
        UserError: a picture cannot be read.
    """
    device = resolve_device(config.device)
    material = DataModule(config, reuse)
    network = build_network(config, device, pretrained=False)
    material.use_features(network.backbone, Progress())
    train = material.split.train
    served = material.batches("train", Progress(), device, train=True)
    trainer = build_trainer(config, material, network, served.num_batches)
    few = train[: _WARM_BATCHES * config.training.batch_size]
    trainer.train_epoch(1, material.batches("train", Progress(), device, train=True, indices=few), Progress())
    return float(trainer.train_epoch(1, served, Progress())["images_per_s"])


def inference_speed(configs: Mapping[str, Config], reuse: Path) -> dict[str, float]:
    """Images per second with which each network answers; all take turns, so that a busy machine slows all alike.

    Args:
        configs: per contender, of its first run.
        reuse: where decoded pictures are kept.

    Returns:
        Per contender, the median of the rounds.

    Raises:
        UserError: a picture cannot be read.
    """
    ready = {name: _answerer(config, reuse) for name, config in configs.items()}
    took: dict[str, list[float]] = {name: [] for name in ready}
    for number in range(_ROUNDS + 1):
        for name, (network, material, batches, device) in ready.items():
            dtype = resolve_precision(configs[name].training.precision, device)
            started = time.perf_counter()
            with torch.inference_mode(), torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
                for batch in batches:
                    for logits in network(material.preprocessing.normalise(batch.images.to(device))).values():
                        logits.cpu()  # which waits for a GPU
            if number:  # the first is not counted: caches, memory pools, threads
                took[name].append(time.perf_counter() - started)
    return {name: sum(map(len, ready[name][2])) / statistics.median(seconds) for name, seconds in took.items()}


def _answerer(config: Config, reuse: Path) -> tuple[Any, DataModule, list[Batch], torch.device]:
    device = resolve_device(config.device)
    material = DataModule(config, reuse)
    network = build_network(config, device, pretrained=False).eval()
    few = material.split.val[: _ANSWERED_BATCHES * config.training.batch_size]
    served: Batches = material.batches("val", Progress(), device, indices=few)
    return network, material, list(served.epoch(0)), device


@dataclass(frozen=True)
class Costs:
    """What was counted and measured, by what is trained.

    Attributes:
        memory: of one training batch.
        speed: training images per second.
        inference: images per second that are answered.
    """

    memory: dict[str, TrainingMemory] = field(default_factory=dict)
    speed: dict[str, Number] | None = field(default=None, metadata=ONLY_IF_KNOWN)
    inference: dict[str, Number] | None = field(default=None, metadata=ONLY_IF_KNOWN)


class CostFile:
    """``costs.json``, so that a bake-off that goes on has the same figures.

    Args:
        path: the file's; what it holds is read, and ``save`` writes it again with what was added.

    Raises:
        UserError: the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        found = read_record(path, Costs) if path.is_file() else Costs()
        self.memory = found.memory
        self.speed = found.speed or {}
        self.inference = found.inference or {}

    def save(self) -> None:
        """Writes all of it."""
        found = Costs(self.memory, self.speed or None, self.inference or None)
        write_atomically(self._path, record_to_json(found))
