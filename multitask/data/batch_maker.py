"""The batches that orders name: made in any process, or by a thread that is ahead of its consumer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from multitask.data.augment import Augmentation
from multitask.data.batch import Batch, Draw, Inputs
from multitask.data.samples import Samples
from multitask.data.targets import Targets
from multitask.errors import UserError
from multitask.labels import MISSING


@dataclass(frozen=True)
class Order:
    """One batch to be made."""

    indices: NDArray[np.int64]
    seed: int
    rows: slice | None = None


class BatchMaker(Dataset[Batch | UserError]):
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

    def __getitem__(self, order: Order) -> Batch | UserError:
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
            sources = self.sources[order.indices[: rows.stop]].to_numpy()
            images = self.augmentation(images, order.seed, sources, rows.start)
        return Batch(
            torch.from_numpy(images),
            torch.from_numpy(self.learned.labels[order.indices].astype(np.int64)),
            torch.from_numpy(self.weights[order.indices]),
            torch.from_numpy(self.learned.numbers[order.indices]),
            None if self.groups is None else torch.from_numpy(self.groups[order.indices]),
            None if self.places is None else torch.from_numpy(self.places[order.indices]),
            order.rows,
        )


def made_ahead(maker: BatchMaker, orders: list[Order], pin: bool) -> Iterator[Batch | UserError]:
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
    waits = True
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException) and not isinstance(item, UserError):
                raise item
            yield item
    except GeneratorExit:
        waits = False  # as in ``utils.threads``
        raise
    finally:
        stopped.set()
        if waits:
            thread.join()
