"""Checks of work over several processes, before an image is read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

import multitask
from multitask.config import Config
from multitask.data.dataset import Dataset
from multitask.data.samples import Column, Samples
from multitask.errors import UserError
from multitask.runs.environment import library_versions
from multitask.training.device import resolve_precision
from multitask.training.settings import TrainingSettings
from multitask.utils.ranks import Ranks


def check_config(config: Config, here: Ranks) -> None:
    """Checks that what a config asks for goes through several processes.

    Raises:
        UserError: it does not.
    """
    if here.size == 1:
        return
    if not type(config.balancer).__module__.startswith("multitask."):
        raise UserError(
            f"balancer: {config.balancer.name} is your own, and whether it sees the gradients of one of {here.size} "
            "processes or of all is not known; train it without torchrun"
        )


def check_folds(config: Config, here: Ranks) -> None:
    """Checks that what a config asks for goes with folds that are dealt to several processes.

    Raises:
        UserError: it does not.
    """
    if in_shards(config.training, here):
        raise UserError(
            f"training.parallel: fsdp would be ignored beside --folds over {here.size} processes (WORLD_SIZE), each of "
            "which trains folds by itself; set ddp"
        )


def in_shards(settings: TrainingSettings, here: Ranks) -> bool:
    """Whether each process of a launch holds a part of the weights."""
    return settings.parallel == "fsdp" and here.size > 1


def check_sharded(config: Config, device: torch.device, here: Ranks) -> None:
    """Checks that what a config asks for can be trained in shards, where it is to be; to be called by all processes.

    Raises:
        UserError: its optimiser or its precision does not go with them.
    """
    if not in_shards(config.training, here):
        return
    from multitask.training.shards import check_steps

    learned = any(True for _ in config.balancer.build(config.loss_weights()).parameters())
    if learned and resolve_precision(config.training.precision, device) == torch.float16:
        raise UserError(
            f"training.precision: fp16 cannot scale what balancer {config.balancer.name} learns beside shards "
            "(training.parallel: fsdp); set bf16 or fp32, or another balancer"
        )
    check_steps(config.training.optimizer, config.training.lr, device, learned)


def check_parts(num_images: int, num_batches: int, batch_size: int, here: Ranks) -> None:
    """Checks that every process has an image of every batch.

    Raises:
        UserError: one has none.
    """
    smallest = num_images // num_batches
    if smallest < here.size:
        raise UserError(
            f"training.batch_size: {batch_size} makes batches of {smallest:,} of {num_images:,} images, fewer than the "
            f"{here.size} processes (WORLD_SIZE) that share each"
        )


def check_same(config: Config, dataset: Dataset, here: Ranks) -> None:
    """Checks that all processes run the same code on the same config and table of samples.

    Raises:
        UserError: one does not; it names the rank.
    """
    if here.size > 1:
        check_alike({SETTINGS: config.to_yaml(), DATA: of_samples(dataset.samples, dataset.indices("train"))}, here)


SETTINGS = "settings"
DATA = "images, labels or groups"
_CODE = "code, or other versions of its libraries,"


def check_alike(own: Mapping[str, str], here: Ranks) -> None:
    """Checks that all processes run the same code on the same of whatever is told.

    Args:
        own: what this process has, by its name.
        here: the place of this process.

    Raises:
        UserError: one does not; it names the rank.
    """
    digests = {name: _digest(text) for name, text in own.items()} | {_CODE: _of_code()}
    found = here.gather(lambda: digests)
    for rank, other in enumerate(found):
        for name, digest in other.items():
            if digest != found[0][name]:
                raise UserError(f"rank {rank}: has other {name} than rank 0; give all processes the same")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def of_samples(samples: Samples, *more: NDArray[Any]) -> str:
    """A digest of samples, and of other columns."""
    digest = hashlib.blake2b(digest_size=16)
    own: tuple[Column, ...] = (samples.images, samples.groups, samples.labels, samples.weights, samples.sources)
    for column in (*own, *more):
        digest.update(repr(column.tolist()).encode())
    return digest.hexdigest()


def _of_code() -> str:
    folder = Path(multitask.__file__).parent
    files = sorted(folder.rglob("*.py"))
    parts = [f"{path.relative_to(folder)} {_digest(path.read_text(encoding='utf-8'))}" for path in files]
    return _digest("\n".join([*parts, repr(sorted(library_versions().items()))]))
