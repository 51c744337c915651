"""Costs of a contender: memory, which is counted and so the same on every machine, and speed, which is measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from multitask.progress import Progress
from multitask.reporting.bakeoff.report_schema import TrainingMemory
from multitask.runs.build import TrainingSetup
from multitask.training.device import autocast
from multitask.utils.files import write_atomically
from multitask.utils.records import ONLY_IF_KNOWN, Number, read_record, record_to_json

_FEW = (4, 8)
"""Batch sizes from which the memory of larger ones is reckoned, since it grows by the same with every image."""
_WARM_BATCHES = 2
_ANSWERED_BATCHES = 3
_ROUNDS = 5
_SLOW_S = 1.0
"""From here on a batch is enough to measure by."""


def training_memory(setup: TrainingSetup) -> TrainingMemory:
    """Bytes that one training batch of the run's size takes, in 32-bit numbers on a CPU.

    What is counted: parameters, gradients, the optimiser's state after a step, and the activations that are saved for
    the backward pass. Weights saved there are parameters and count once.

    Args:
        setup: the contender's.

    Raises:
        UserError: network, losses or data are not as they must be.
    """
    wanted = min(setup.data.batch_size, len(setup.data.split.train))
    few, more = (_one_batch(setup, min(size, wanted)) for size in _FEW)
    each = (more["activations"] - few["activations"]) // max(min(_FEW[1], wanted) - min(_FEW[0], wanted), 1)
    found = {**more, "activations": more["activations"] + each * max(wanted - _FEW[1], 0)}
    return TrainingMemory(**found, total=sum(found.values()), batch_size=wanted)


def _one_batch(setup: TrainingSetup, size: int) -> dict[str, int]:
    device = torch.device("cpu")
    network = setup.network(device)
    served = setup.data.batches("train", Progress(), device, train=True, indices=setup.data.split.train[:size])
    trainer = setup.trainer(served.num_batches, network)
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


def training_speed(setup: TrainingSetup) -> float:
    """Images per second of an epoch that is measured, after a few batches that are not.

    Raises:
        UserError: an image cannot be read.
    """
    data, device = setup.data, setup.device
    network = setup.network()
    data.use_features(network.backbone, Progress())
    served = data.batches("train", Progress(), device, train=True)
    trainer = setup.trainer(served.num_batches, network)
    few = data.split.train[: _WARM_BATCHES * data.batch_size]
    trainer.train_epoch(1, data.batches("train", Progress(), device, train=True, indices=few), Progress())
    return trainer.train_epoch(1, served, Progress()).images_per_s


def inference_speed(setups: Mapping[str, TrainingSetup]) -> dict[str, float]:
    """Images per second with which each network answers; all take turns, so that a busy machine slows all alike.

    Args:
        setups: per contender, of its first run.

    Returns:
        Per contender, the median of the rounds.

    Raises:
        UserError: an image cannot be read.
    """
    answering = {name: _Answering(setup) for name, setup in setups.items()}
    slowest = max(one.seconds(1) for one in answering.values())  # not counted: caches, memory pools, threads
    num = 1 if slowest > _SLOW_S else _ANSWERED_BATCHES
    took: dict[str, list[float]] = {name: [] for name in answering}
    for _ in range(_ROUNDS):
        for name, one in answering.items():
            took[name].append(one.seconds(num))
    return {name: one.num_images(num) / statistics.median(took[name]) for name, one in answering.items()}


class _Answering:
    """A contender's untrained network and some images that validate."""

    def __init__(self, setup: TrainingSetup) -> None:
        few = setup.data.split.val[: _ANSWERED_BATCHES * setup.data.batch_size]
        self._batches = list(setup.data.batches("val", Progress(), setup.device, indices=few).epoch(0))
        self._network = setup.network().eval()
        self._setup = setup

    def num_images(self, num_batches: int) -> int:
        """In the first so many batches, or in all there are."""
        return sum(map(len, self._batches[:num_batches]))

    def seconds(self, num_batches: int) -> float:
        """That it takes to answer them."""
        device, normalise = self._setup.device, self._setup.data.preprocessing.normalise
        started = time.perf_counter()
        with torch.inference_mode(), autocast(device, self._setup.dtype):
            for batch in self._batches[:num_batches]:
                for logits in self._network(normalise(batch.images.to(device))).values():
                    logits.cpu()  # which waits for a GPU
        return time.perf_counter() - started


@dataclass(frozen=True)
class Costs:
    """The counted memory and the measured speeds, by what is trained.

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
        """Writes ``costs.json`` anew."""
        found = Costs(self.memory, self.speed or None, self.inference or None)
        write_atomically(self._path, record_to_json(found))
