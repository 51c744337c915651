"""Images read ahead in threads, in order, a bounded number at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from multitask.data.crop import Box
from multitask.data.images import Pixels, Preprocessing
from multitask.errors import UserError
from multitask.utils.threads import threads


@dataclass(frozen=True, eq=False)
class ImageInput:
    """An image to be answered.

    Attributes:
        name: what the prediction calls it: its path as the user wrote it, or its place.
        image: its file, or the image itself, in any of Pillow's modes.
        box: (4,) its own box, as of ``Samples.boxes``; None where it has none.
        group: its group's name; None: it is on its own.
        error: why it cannot be read, where that is known already.
    """

    name: str
    image: Path | Image.Image
    box: Box | None = None
    group: str | None = None
    error: UserError | None = None


@dataclass(frozen=True, eq=False)
class InputBatch:
    """Images that were read, and those that could not be, in the order in which they were given.

    Attributes:
        inputs: B of them.
        pixels: (R, H, W, 3) uint8, of the R <= B that could be read.
        errors: the place within the batch -> why it could not be read, of the others.
    """

    inputs: tuple[ImageInput, ...]
    pixels: Pixels
    errors: dict[int, UserError]

    @property
    def readable(self) -> tuple[ImageInput, ...]:
        """The R inputs of ``pixels``."""
        return tuple(item for place, item in enumerate(self.inputs) if place not in self.errors)


def read_batches(
    inputs: Iterable[ImageInput], preprocessing: Preprocessing, batch_size: int, num_threads: int | None = None
) -> Generator[InputBatch, None, None]:
    """Batches of images, read by threads up to two batches ahead of their consumer.

    Args:
        inputs: any number of them; taken one by one, so that they may be made as they are needed.
        preprocessing: the network's.
        batch_size: B; the last batch may be smaller.
        num_threads: that read; None: as many as this process may use cores.
    """
    pending: deque[tuple[ImageInput, Future[Pixels | UserError]]] = deque()
    remaining = iter(inputs)
    with threads(num_threads) as pool:
        while True:
            for item in islice(remaining, 3 * batch_size - len(pending)):
                pending.append((item, pool.submit(_read, item, preprocessing)))
            if not pending:
                return
            taken = [pending.popleft() for _ in range(min(batch_size, len(pending)))]
            yield _batch([(item, future.result()) for item, future in taken], preprocessing.size)


def read_now(item: ImageInput, preprocessing: Preprocessing) -> InputBatch:
    """A batch of one image, read by the calling thread."""
    return _batch([(item, _read(item, preprocessing))], preprocessing.size)


def _read(item: ImageInput, preprocessing: Preprocessing) -> Pixels | UserError:
    if item.error is not None:
        return item.error
    try:
        if isinstance(item.image, Path):
            return preprocessing.load(item.image, item.box)
        return preprocessing.convert(item.image, item.name, item.box)
    except UserError as error:
        return error


def _batch(read: list[tuple[ImageInput, Pixels | UserError]], size: tuple[int, int]) -> InputBatch:
    pixels = [found for _, found in read if not isinstance(found, UserError)]
    return InputBatch(
        tuple(item for item, _ in read),
        np.stack(pixels) if pixels else np.empty((0, *size, 3), dtype=np.uint8),
        {place: found for place, (_, found) in enumerate(read) if isinstance(found, UserError)},
    )
