"""Batches: the same images in the same order with the same augmentation for any number of workers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from multitask.data.augment import Augmentation
from multitask.data.batch import Batch, Draw, Inputs
from multitask.data.batch_maker import BatchMaker, Order, made_ahead
from multitask.data.per_group import labelled_groups
from multitask.data.samplers import EpochDraws, SamplerSettings
from multitask.data.samples import Samples
from multitask.data.targets import Targets
from multitask.errors import UserError
from multitask.labels import MISSING
from multitask.utils.ranks import Ranks
from multitask.utils.seeds import derive


class Batches:
    """The batches of some samples, an epoch at a time.

    Args:
        samples: all samples.
        learned: their targets.
        inputs: of all samples, in the same order.
        indices: of the samples that are served.
        batch_size: at most so many in a batch. The batches of an epoch differ by at most one sample in size: none is
            dropped, and no small rest disturbs the batch statistics.
        augmentation: None: images are not augmented, as features never are.
        draw: makes the inputs instead, where several are kept of each sample; None: ``inputs`` are served.
        shuffle: whether every epoch has an order of its own.
        sampler: which samples a shuffled epoch serves; None: each of ``indices`` once.
        seed: of order and augmentation.
        workers: processes that make batches; 0 makes them in a thread beside the training.
        pin: whether batches go to page-locked memory.
        group_tasks: those of which batches say which group each sample is of, ``MISSING`` where nobody in it is
            labelled.
        source_names: of all sources; none: batches do not tell them.
        ranks: the place of this process among several. Of a shuffled epoch each has the images of its rows of every
            batch; else whole batches are dealt to them in turn.
    """

    def __init__(
        self,
        samples: Samples,
        learned: Targets,
        inputs: Inputs,
        indices: NDArray[np.int64],
        batch_size: int,
        *,
        augmentation: Augmentation | None = None,
        draw: Draw | None = None,
        shuffle: bool = False,
        sampler: SamplerSettings | None = None,
        seed: int = 0,
        workers: int = 0,
        pin: bool = False,
        group_tasks: Sequence[str] = (),
        source_names: Sequence[str] = (),
        ranks: Ranks | None = None,
    ) -> None:
        self.ranks = ranks or Ranks()
        self._groups = labelled_groups(samples, group_tasks) if group_tasks else None
        self._maker = BatchMaker(samples, learned, inputs, augmentation, draw, self._groups, source_names)
        self._indices = indices
        self._draws = EpochDraws(samples.take(indices), sampler) if shuffle else None
        self._seed = seed
        self._pin = pin
        self._orders: list[Order] = []
        self.num_images = len(indices) if self._draws is None else len(self._draws)
        self.num_batches = -(-self.num_images // batch_size)
        self._loader: DataLoader[Batch | UserError] | None = None
        if workers:
            self._loader = DataLoader(
                self._maker,
                batch_size=None,
                sampler=self._orders,  # read anew at each epoch, so the workers can be kept
                num_workers=workers,
                persistent_workers=True,
                pin_memory=pin,
                prefetch_factor=2,
                # Its own, or it would draw from torch's when it starts workers: dropout would depend on their number,
                # and on whether a run was resumed.
                generator=torch.Generator(),
            )

    def epoch(self, epoch: int, done: int = 0) -> Iterator[Batch]:
        """The batches of one epoch.

        Args:
            epoch: its number; the same number gives the same batches.
            done: how many of the first are left out.

        Raises:
            UserError: an image cannot be read.
        """
        seeds = (derive(self._seed, "augment", epoch, number) for number in range(self.num_batches))
        orders = [Order(part, seed) for part, seed in zip(self._parts(epoch), seeds, strict=True)][done:]
        if self.ranks.size > 1:
            if self._draws is None:
                orders = orders[self.ranks.rank :: self.ranks.size]
            else:
                orders = [replace(order, rows=self.ranks.rows(len(order.indices))) for order in orders]
        self._orders[:] = orders
        made = (
            iter(self._loader) if self._loader is not None else made_ahead(self._maker, list(self._orders), self._pin)
        )
        for batch in made:
            if isinstance(batch, UserError):
                try:
                    raise batch
                finally:
                    # Else the error and this frame would hold each other, and workers that only the garbage collector
                    # finds are not told to stop: ten seconds until they are killed.
                    del batch, made
            yield batch

    def labelled_weights(self, epoch: int) -> NDArray[np.float64]:
        """(batches, T) the weight of the samples of each batch of an epoch whose label is known; reads no image."""
        return np.stack([self._maker.labelled_weights(part) for part in self._parts(epoch)])

    @property
    def sizes(self) -> list[int]:
        """How many samples are in each batch of an epoch, over all processes."""
        return [len(part) for part in np.array_split(np.empty(self.num_images), self.num_batches)]

    def share_paired(self, epoch: int) -> float:
        """The share of an epoch's samples whose group has another in the batch, of the task with most."""
        assert self._groups is not None, "batches do not say of which groups they are"
        num = np.zeros(self._groups.shape[1])
        for part in self._parts(epoch):
            for place, groups in enumerate(self._groups[part].T):
                sizes = np.bincount(groups[groups != MISSING])
                num[place] += sizes[sizes > 1].sum()
        return float(num.max() / self.num_images)

    def _parts(self, epoch: int) -> list[NDArray[np.int64]]:
        """The samples of each batch of an epoch."""
        indices = self._indices
        if self._draws is not None:
            indices = indices[self._draws.draw(np.random.default_rng(derive(self._seed, "order", epoch)))]
        return np.array_split(indices, self.num_batches)


def in_batches(indices: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    """Samples in batches of at most so many, which differ by at most one in size; of none, no batch.

    >>> [len(batch) for batch in in_batches(np.arange(7), 3)], in_batches(np.arange(0), 3)
    ([3, 2, 2], [])
    """
    num = -(-len(indices) // batch_size)
    return np.array_split(indices, num) if num else []


def num_workers(setting: int | Literal["auto"], device: torch.device) -> int:
    """The number of processes that make training batches; auto: up to 8 beside a GPU, else 0, a thread."""
    if setting != "auto":
        return setting
    return min(8, len(os.sched_getaffinity(0)) - 1) if device.type == "cuda" else 0
