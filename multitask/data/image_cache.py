"""The images of a run: found, decoded and resized once, and kept in memory or on disk."""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
from multitask.utils.shared_arrays import check_room, kept

_AHEAD = 32
"""Images for each thread that are begun before they are asked for."""
_PIECE = 16
"""Images that a process decodes in a row of those that several decode together."""
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
        self, name: str, num_bytes: int, paths: Sequence[Path], rows: Callable[[], Iterator[NDArray[Any]]]
    ) -> NDArray[Any]:
        """The array of a name, made where there is none, or a damaged one.

        Args:
            name: of its file, a key of all that it depends on.
            num_bytes: its size.
            paths: the images' files, N.
            rows: gives the row of each image, (...).

        Returns:
            (N, ...), not to be written to.

        Raises:
            UserError: the disk has no room for it, or an image changed while it was made.
        """
        path = self.folder / name

        def make() -> Iterator[NDArray[Any]]:
            check_room(path, num_bytes)
            self.say(f"writing {size_text(num_bytes)} to {path}")
            for row in rows():
                yield row[None]
            for image, content in zip(paths, self.contents, strict=True):
                if content_digest(image) != content:
                    raise UserError(f"{image}: changed while the images were read")

        return kept(path, len(paths), make, lambda: self.say(f"{path} is damaged, and is made again"))


def choose_cache(cache: CacheName, num_bytes: int, folder: Path) -> Literal["memory", "disk", "none"]:
    """The cache to use: ``auto`` is memory, or else the disk, where the pixels take at most half of the free space.

    Args:
        cache: the setting.
        num_bytes: what the pixels take.
        folder: where they would be kept on disk; it need not be there yet.
    """
    if cache != "auto":
        return cache
    if num_bytes <= psutil.virtual_memory().available / 2:
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
) -> NDArray[np.float64]:
    """The boxes that the crop's detector finds.

    Args:
        paths: N files.
        preprocessing: whose crop has a detector.
        on_done: called with the number of images done so far.
        shared: where the boxes are kept for other processes and runs.

    Returns:
        (N, 4) left, top, right, bottom in pixels of the upright images, NaN where nothing is found.

    Raises:
        UserError: an image cannot be read, or changed while it was.
    """
    assert preprocessing.detector is not None

    def rows() -> Iterator[NDArray[np.float64]]:
        return _in_threads(preprocessing.locate, ((path,) for path in paths), on_done)

    if shared is None:
        return np.stack(list(rows()))
    name = f"boxes-{boxes_key(shared.contents, preprocessing.detector, preprocessing.decoding)}.npy"
    return shared.kept(name, 32 * len(paths), paths, rows)


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
        here: the place of this process among several that all keep the images in memory, and decode them together.

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
        self._on_done = on_done
        assert shared is not None or cache != "disk"
        num_bytes = pixel_bytes(len(paths), size)
        if shared is not None and cache != "none":
            # Whatever memory there is: what is mapped from a file can be dropped again.
            name = f"pixels-{pixels_key(shared.contents, preprocessing, boxes)}.npy"
            self._pixels = shared.kept(name, num_bytes, paths, self._decode)
        elif cache == "memory" or (cache == "auto" and num_bytes <= psutil.virtual_memory().available / 2):
            self._pixels = np.empty((len(paths), *size, 3), dtype=np.uint8)
            decoded = self._decode() if here is None else self._decode_together(here)
            for index, image in enumerate(decoded):
                self._pixels[index] = image

    def _decode(self) -> Iterator[Pixels]:
        return _in_threads(Preprocessing.load, self._items(range(len(self))), self._on_done)

    def _decode_together(self, here: Ranks) -> Iterator[Pixels]:
        mine = [row for row in range(len(self)) if row // _PIECE % here.size == here.rank]
        decoded = _in_threads(Preprocessing.load, self._items(mine), None)
        pieces = iter(lambda: list(islice(decoded, _PIECE)), [])
        for done, image in enumerate(chain.from_iterable(in_turn(pieces, here, everywhere=True, most=8)), 1):
            yield image
            if self._on_done is not None:
                self._on_done(done)

    def _items(self, rows: Iterable[int]) -> Iterator[tuple[object, ...]]:
        boxes = self._boxes
        for row in rows:
            yield self._preprocessings[row], self._paths[row], None if boxes is None else boxes[row]

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Pixels:
        """(H, W, 3) uint8; not to be written to."""
        if self._pixels is not None:
            pixels: Pixels = self._pixels[index]
            return pixels
        box = None if self._boxes is None else self._boxes[index]
        return self._preprocessings[index].load(self._paths[index], box)

    def take(self, indices: NDArray[np.int64]) -> Pixels:
        """(B, H, W, 3) uint8, the images at B indices; a copy."""
        if self._pixels is not None:
            return self._pixels[indices]
        return np.stack([self[index] for index in indices])


def pixel_bytes(num_images: int, size: tuple[int, int]) -> int:
    """The bytes that the pixels of so many images of a height and width take."""
    return num_images * size[0] * size[1] * 3


def _in_threads(
    work: Callable[..., T], items: Iterable[tuple[object, ...]], on_done: Callable[[int], None] | None
) -> Iterator[T]:
    """The results of ``work`` on every item, in order."""
    # Decoding, resizing and detecting go on without the interpreter's lock, so threads are enough.
    workers = len(os.sched_getaffinity(0))
    ahead: deque[Future[T]] = deque()
    with ThreadPoolExecutor(max_workers=workers) as pool:
        try:
            done = 0
            for item in chain(items, repeat(None, _AHEAD * workers)):
                if item is not None:
                    ahead.append(pool.submit(work, *item))
                # Not all at once: what is done waits in memory for whoever takes it.
                if ahead and (item is None or len(ahead) > _AHEAD * workers):
                    yield ahead.popleft().result()
                    done += 1
                    if on_done is not None:
                        on_done(done)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
