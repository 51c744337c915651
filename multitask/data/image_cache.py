"""The images of a run: found, decoded and resized once, and kept in memory or on disk."""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import psutil
from numpy.typing import NDArray

from multitask.data.images import AnyPreprocessing, Pixels, Preprocessing, boxes_key, per_image, pixels_key
from multitask.data.settings import CacheName
from multitask.errors import UserError
from multitask.utils.files import content_digest, size_text
from multitask.utils.in_turn import in_turn
from multitask.utils.ranks import Ranks
from multitask.utils.shared_arrays import check_room, kept_together
from multitask.utils.threads import threads

_AHEAD = 32
"""Images for each thread that are begun before they are asked for."""
_PIECE = 16
"""Images that a process reads in a row of those that several read together."""
T = TypeVar("T")


def _ignore(text: str) -> None:
    pass


@dataclass(frozen=True)
class SharedPixels:
    """A folder in which pixels are kept for other processes and runs, by keys of what they depend on.

    Attributes:
        folder: made where it does not exist.
        contents: a digest of each image's file, in order.
        say: called with a line on each file that is about to be written, or was found damaged.
    """

    folder: Path
    contents: Sequence[bytes]
    say: Callable[[str], None] = _ignore

    def kept(
        self,
        name: str,
        num_bytes: int,
        paths: Sequence[Path],
        row: Callable[[int], NDArray[Any]],
        on_done: Callable[[int], None] | None = None,
        here: Ranks | None = None,
    ) -> NDArray[Any]:
        """The array of a name, made where there is none, or a damaged one.

        Args:
            name: of its file, a key of all that it depends on.
            num_bytes: its size.
            paths: the images' files, N.
            row: gives the row of the image at an index, (...); called in threads.
            on_done: called with the number of rows made so far.
            here: the place of this process among several that all call it, and make some of the rows each.

        Returns:
            (N, ...), not to be written to.

        Raises:
            UserError: the disk has no room for it, or an image changed while it was made.
        """
        path, count = self.folder / name, _Count(on_done)

        def begin() -> None:
            check_room(path, num_bytes)
            self.say(f"writing {size_text(num_bytes)} to {path}")

        def unchanged(index: int) -> NDArray[Any]:
            made = row(index)
            if content_digest(paths[index]) != self.contents[index]:
                raise UserError(f"{paths[index]}: changed while the images were read")
            return made

        return kept_together(
            path,
            len(paths),
            lambda who: _pieces(unchanged, len(paths), who),
            here or Ranks(),
            count.add,
            begin,
            lambda: self.say(f"{path} is damaged, and is made again"),
        )


class _Count:
    """Of rows, which come some at a time.

    Args:
        on_done: called with the number of rows so far, for each of them.
    """

    def __init__(self, on_done: Callable[[int], None] | None) -> None:
        self._done = 0
        self._on_done = on_done

    def add(self, num: int) -> None:
        for _ in range(num):
            self._done += 1
            if self._on_done is not None:
                self._on_done(self._done)


def choose_cache(
    cache: CacheName, num_bytes: int, folder: Path, num_copies: int = 1
) -> Literal["memory", "disk", "none"]:
    """The cache to use: ``auto`` is memory, or else the disk, where the pixels take at most half of the free space.

    Args:
        cache: the setting.
        num_bytes: what the pixels take.
        folder: where they would be kept on disk; it need not be there yet.
        num_copies: how many processes of this machine would hold them in memory each; on disk they share them.
    """
    if cache != "auto":
        return cache
    if num_copies * num_bytes <= psutil.virtual_memory().available / 2:
        return "memory"
    return "disk" if num_bytes <= free_bytes(folder) / 2 else "none"


def free_bytes(folder: Path) -> int:
    """The free space on a folder's disk; 0 where writing is not allowed. The folder need not exist yet."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(there).free if os.access(there, os.W_OK | os.X_OK) and there.is_dir() else 0


def find_boxes(
    paths: Sequence[Path],
    preprocessing: Preprocessing,
    on_done: Callable[[int], None] | None = None,
    shared: SharedPixels | None = None,
    here: Ranks | None = None,
) -> NDArray[np.float64]:
    """The boxes that the crop's detector finds.

    Args:
        paths: N files.
        preprocessing: whose crop has a detector.
        on_done: called with the number of images done so far.
        shared: where the boxes are kept for other processes and runs.
        here: the place of this process among several that all call it, and look at some of the images each.

    Returns:
        (N, 4) left, top, right, bottom in pixels of the upright images, NaN where nothing is found.

    Raises:
        UserError: an image cannot be read, or changed while it was.
    """
    assert preprocessing.detector is not None

    def box(index: int) -> NDArray[np.float64]:
        return preprocessing.locate(paths[index])

    if shared is None:
        return np.stack(list(_rows(box, len(paths), here or Ranks(), on_done)))
    name = f"boxes-{boxes_key(shared.contents, preprocessing.detector, preprocessing.decoding)}.npy"
    return shared.kept(name, 32 * len(paths), paths, box, on_done, here)


class ImageCache:
    """The pixels of N images: decoded once and kept, or decoded at every look.

    Args:
        paths: N files.
        preprocessing: how they become pixels: all, or each.
        cache: ``memory``, ``none``, ``disk``, which needs ``shared``, or ``auto``: on disk if ``shared`` says where,
            else in memory if that takes at most half of what is free.
        on_done: called with the number of images read so far, from the calling thread.
        shared: where the pixels are kept for other processes and runs, unless ``cache`` is ``none``; None: they are in
            this process's memory only.
        boxes: (N, 4) the images' boxes in pixels, NaN where unknown; None: there are none, or the crop finds them.
        here: the place of this process among several that all keep the images in memory, or all on disk, and decode
            some of them each.

    Raises:
        UserError: an image cannot be read (with ``none``: when it is looked at), or has changed.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        preprocessing: AnyPreprocessing,
        cache: CacheName = "auto",
        on_done: Callable[[int], None] | None = None,
        shared: SharedPixels | None = None,
        boxes: NDArray[np.float64] | None = None,
        here: Ranks | None = None,
    ) -> None:
        self._paths = paths
        self._preprocessings = per_image(preprocessing, len(paths))
        size = self._preprocessings[0].size
        self._boxes = boxes
        self._pixels: Pixels | None = None
        assert shared is not None or cache != "disk"
        num_bytes = pixel_bytes(len(paths), size)
        if shared is not None and cache != "none":
            # Whatever memory there is: what is mapped from a file can be dropped again.
            name = f"pixels-{pixels_key(shared.contents, preprocessing, boxes)}.npy"
            self._pixels = shared.kept(name, num_bytes, paths, self._read, on_done, here)
        elif cache == "memory" or (cache == "auto" and num_bytes <= psutil.virtual_memory().available / 2):
            self._pixels = np.empty((len(paths), *size, 3), dtype=np.uint8)
            for index, image in enumerate(_rows(self._read, len(self), here or Ranks(), on_done)):
                self._pixels[index] = image

    def _read(self, index: int) -> Pixels:
        box = None if self._boxes is None else self._boxes[index]
        return self._preprocessings[index].load(self._paths[index], box)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Pixels:
        """(H, W, 3) uint8; not to be written to."""
        if self._pixels is not None:
            pixels: Pixels = self._pixels[index]
            return pixels
        return self._read(index)

    def take(self, indices: NDArray[np.int64]) -> Pixels:
        """(B, H, W, 3) uint8, the images at B indices; a copy."""
        if self._pixels is not None:
            return self._pixels[indices]
        return np.stack([self[index] for index in indices])


def pixel_bytes(num_images: int, size: tuple[int, int]) -> int:
    """The bytes that the pixels of so many images of a height and width take."""
    return num_images * size[0] * size[1] * 3


def _rows(
    work: Callable[[int], NDArray[Any]], num: int, here: Ranks, on_done: Callable[[int], None] | None
) -> Iterator[NDArray[Any]]:
    """What ``work`` gives for each of ``num`` indices, in order; each of several processes works for some of them."""
    count = _Count(on_done)
    for row in chain.from_iterable(in_turn(_pieces(work, num, here), here, everywhere=True, most=8)):
        yield row
        count.add(1)


def _pieces(work: Callable[[int], NDArray[Any]], num: int, here: Ranks) -> Iterator[NDArray[Any]]:
    """(n, ...), the rows of this process, those of adjacent indices together; of a single process each by itself."""
    size = _PIECE if here.size > 1 else 1
    done = _in_threads(work, [index for index in range(num) if index // size % here.size == here.rank])
    while piece := list(islice(done, size)):
        yield np.stack(piece)


def _in_threads(work: Callable[[int], T], indices: Sequence[int]) -> Iterator[T]:
    """The results of ``work`` on every index, in order."""
    # Decoding, resizing and detecting go on without the interpreter's lock, so threads are enough.
    workers = len(os.sched_getaffinity(0))
    ahead: deque[Future[T]] = deque()
    with threads(workers) as pool:
        for index in chain(indices, repeat(None, _AHEAD * workers)):
            if index is not None:
                ahead.append(pool.submit(work, index))
            # Not all at once: what is done waits in memory for whoever takes it.
            if ahead and (index is None or len(ahead) > _AHEAD * workers):
                yield ahead.popleft().result()
