"""Batches: the same images in the same order with the same augmentation for any number of workers."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from multitask.data.augment import Augmentation
from multitask.data.per_group import labelled_groups
from multitask.data.samplers import EpochDraws, SamplerSettings
from multitask.data.samples import Samples
from multitask.data.targets import Targets
from multitask.errors import UserError
from multitask.labels import MISSING
from multitask.utils.ranks import Ranks
from multitask.utils.seeds import derive


class Inputs(Protocol):
    """The inputs of N samples: their images, or the features that a frozen backbone makes of them."""

    def __len__(self) -> int:
        """N."""

    def take(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """(B, H, W, 3) uint8, or (B, F), of the samples at B indices; a copy."""


Draw = Callable[[NDArray[np.int64], int], NDArray[Any]]
"""The inputs of the samples at B indices, of several that are kept of each, drawn by the seed."""


@dataclass(frozen=True)
class Batch:
    """B samples.

    Attributes:
        images: (B, H, W, 3) uint8; or (B, F), the features that stand for them. In one of several processes those of
            ``rows`` alone, (n, ...), where all else is of the whole batch.
        labels: (B, T) int64, ``MISSING`` where unknown.
        weights: (B,) float32, or (B, T) where each loss has its own.
        numbers: (B, T) float32, the raw numbers that labels were made of, NaN where there is none.
        groups: (B, K) int64, as of ``labelled_groups``, of the tasks that are asked for; None: none is.
        sources: (B,) int64, the places of their sources in ``source_names`` of ``Batches``; None where it has none.
        rows: of which there are images here; None: of all.
    """

    images: Tensor
    labels: Tensor
    weights: Tensor
    numbers: Tensor
    groups: Tensor | None = None
    sources: Tensor | None = None
    rows: slice | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Batch:
        """The batch copied to a device, without waiting for the copy."""
        return self._each(lambda part: part.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory, which a GPU can fetch while it computes."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        groups, sources = (None if part is None else change(part) for part in (self.groups, self.sources))
        images, labels, weights, numbers = map(change, (self.images, self.labels, self.weights, self.numbers))
        return Batch(images, labels, weights, numbers, groups, sources, self.rows)


@dataclass(frozen=True)
class _Order:
    """One batch to be made."""

    indices: NDArray[np.int64]
    seed: int
    rows: slice | None = None


class _Maker(Dataset[Batch | UserError]):
    """Makes the batch that an order names; it holds no state, so any worker may."""

    def __init__(
        self,
        samples: Samples,
        learned: Targets,
        inputs: Inputs,
        augmentation: Augmentation | None,
        draw: Draw | None,
        groups: NDArray[np.int64] | None,
        source_names: Sequence[str] = (),
    ) -> None:
        self.groups = groups
        self.places = np.array([source_names.index(name) for name in samples.sources]) if source_names else None
        self.learned = learned
        self.weights = learned.loss_weights(samples)
        self.sources = samples.sources
        self.inputs = inputs
        self.augmentation = augmentation
        self.draw = draw

    def labelled_weights(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """(T,) the weight of the samples at these indices whose label is known."""
        known = self.learned.labels[indices] != MISSING
        weights = self.weights[indices].astype(np.float64)
        totals: NDArray[np.float64] = weights @ known if weights.ndim == 1 else (weights * known).sum(axis=0)
        return totals

    def __getitem__(self, order: _Order) -> Batch | UserError:
        # OpenCV counts threads per process, and a batch is one worker's job.
        cv2.setNumThreads(0)
        rows = order.rows or slice(0, len(order.indices))
        try:
            if self.draw is None:
                images = self.inputs.take(order.indices[rows])
            else:
                images = self.draw(order.indices, order.seed)[rows]
        except UserError as error:
            return error  # as it is: a worker process would wrap it in a traceback
        if self.augmentation is not None:
            sources = self.sources[order.indices].to_numpy()
            if order.rows is None:
                images = self.augmentation(images, order.seed, sources)
            else:
                images = self.augmentation.of_rows(images, rows, order.seed, sources)
        return Batch(
            torch.from_numpy(images),
            torch.from_numpy(self.learned.labels[order.indices].astype(np.int64)),
            torch.from_numpy(self.weights[order.indices]),
            torch.from_numpy(self.learned.numbers[order.indices]),
            None if self.groups is None else torch.from_numpy(self.groups[order.indices]),
            None if self.places is None else torch.from_numpy(self.places[order.indices]),
            order.rows,
        )


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
        self._maker = _Maker(samples, learned, inputs, augmentation, draw, self._groups, source_names)
        self._indices = indices
        self._draws = EpochDraws(samples.take(indices), sampler) if shuffle else None
        self._seed = seed
        self._pin = pin
        self._orders: list[_Order] = []
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
        orders = [_Order(part, seed) for part, seed in zip(self._parts(epoch), seeds, strict=True)][done:]
        if self.ranks.size > 1:
            if self._draws is None:
                orders = orders[self.ranks.rank :: self.ranks.size]
            else:
                orders = [replace(order, rows=self.ranks.rows(len(order.indices))) for order in orders]
        self._orders[:] = orders
        made = iter(self._loader) if self._loader is not None else _ahead(self._maker, list(self._orders), self._pin)
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


def _ahead(maker: _Maker, orders: list[_Order], pin: bool) -> Iterator[Batch | UserError]:
    """The orders' batches, made by a thread that is two ahead of their consumer."""
    made: queue.Queue[Batch | UserError | BaseException | None] = queue.Queue(maxsize=2)
    stopped = threading.Event()

    def over() -> bool:
        # An interrupt may come while the consumer stops this, or hold the consumer in its own traceback: at the
        # process's end too nobody waits for batches any more.
        return stopped.is_set() or not threading.main_thread().is_alive()

    def put(item: Batch | UserError | BaseException | None) -> None:
        while not over():
            try:
                made.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for order in orders:
                if over():
                    return
                batch = maker[order]
                put(batch.pin_memory() if pin and isinstance(batch, Batch) else batch)
            put(None)
        except BaseException as error:
            put(error)

    # No daemon: the process waits for it, since one that still computes while the interpreter goes aborts it.
    thread = threading.Thread(target=work, name="batches")
    thread.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException) and not isinstance(item, UserError):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


def num_workers(setting: int | Literal["auto"], device: torch.device) -> int:
    """The number of processes that make training batches; auto: up to 8 beside a GPU, else 0, a thread."""
    if setting != "auto":
        return setting
    return min(8, len(os.sched_getaffinity(0)) - 1) if device.type == "cuda" else 0
