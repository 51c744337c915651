"""Checks of a run over several processes, before an image is read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import multitask
from multitask.config import Config
from multitask.data.dataset import Dataset
from multitask.errors import UserError
from multitask.runs.environment import library_versions
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


def check_parts(num_images: int, num_batches: int, batch_size: int, here: Ranks) -> None:
    """Checks that every process has an image of every batch.

    Raises:
        UserError: one has none.
    """
    smallest = num_images // num_batches
    if smallest < here.size:
        raise UserError(
            f"training.batch_size: {batch_size} makes batches of {smallest} of {num_images} images, fewer than the "
            f"{here.size} processes (WORLD_SIZE) that share each"
        )


def check_same(config: Config, dataset: Dataset, here: Ranks) -> None:
    """Checks that all processes run the same code on the same config and table of samples.

    Raises:
        UserError: one does not; it names the rank.
    """
    if here.size == 1:
        return
    own = {"config": _digest(config.to_yaml()), "data": _of_data(dataset), "code": _of_code()}
    found = here.gather(lambda: own)
    for rank, other in enumerate(found):
        for what, digest in other.items():
            if digest != found[0][what]:
                raise UserError(f"rank {rank}: has other {_NAMES[what]} than rank 0; give all processes the same")


_NAMES = {"config": "settings", "data": "images, labels or groups", "code": "code, or other versions of its libraries,"}


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _of_data(dataset: Dataset) -> str:
    samples = dataset.samples
    digest = hashlib.blake2b(digest_size=16)
    for column in (
        samples.images,
        samples.groups,
        samples.labels,
        samples.weights,
        samples.sources,
        dataset.indices("train"),
    ):
        digest.update(repr(column.tolist()).encode())
    return digest.hexdigest()


def _of_code() -> str:
    folder = Path(multitask.__file__).parent
    files = sorted(folder.rglob("*.py"))
    parts = [f"{path.relative_to(folder)} {_digest(path.read_text(encoding='utf-8'))}" for path in files]
    return _digest("\n".join([*parts, repr(sorted(library_versions().items()))]))
