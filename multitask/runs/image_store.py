"""A config's pictures: which part of each is used, and where they are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multitask.config import Config
from multitask.data import framing
from multitask.data.crop import crop_counts
from multitask.data.image_cache import ImageCache, SharedPixels, choose_cache, find_boxes, free_bytes, pixel_bytes
from multitask.data.images import Pixels, Preprocessing
from multitask.data.samples import Samples
from multitask.data.settings import CacheName
from multitask.errors import UserError
from multitask.progress import Progress
from multitask.utils.files import content_digest
from multitask.utils.shared_arrays import default_folder

SEEN = ("crop", "fit", "first_frames")
"""The keys of ``ImageStore.facts``."""


class ImageStore:
    """The pictures of some samples, as a config's network sees them, and where they are kept.

    Args:
        config: the run's.
        samples: whose pictures.
        preprocessing: the config's.
        reuse: the folder in which pixels are kept for other runs, whatever the config says but ``none`` and ``disk``.
        contents: a digest of each picture's file, in order; they are asked for if anything is kept.
    """

    def __init__(
        self,
        config: Config,
        samples: Samples,
        preprocessing: Preprocessing,
        reuse: Path | None = None,
        contents: Callable[[], Sequence[bytes]] | None = None,
    ) -> None:
        self._data = config.data
        self._samples = samples
        self._paths = samples.paths()
        self._preprocessing = preprocessing
        self._contents = contents or (lambda: [content_digest(path) for path in self._paths])
        self._folder = default_folder() if config.data.cache_dir is None else Path(config.data.cache_dir)
        self.cache: CacheName = choose_cache(config.data.cache, pixel_bytes(len(samples), preprocessing), self._folder)
        if reuse is not None and config.data.cache in ("auto", "memory"):
            self._folder, self.cache = reuse, "disk"
        self._boxes: NDArray[np.float64] | None = None
        self._pictures: ImageCache | None = None

    def boxes(self, progress: Progress) -> NDArray[np.float64] | None:
        """(N, 4) the box of each picture, NaN where it has none; None where the crop uses no boxes.

        Raises:
            UserError: a picture cannot be read; the crop needs boxes, and the samples have none.
        """
        if not self._preprocessing.crop.boxed or self._boxes is not None:
            return self._boxes
        if self._preprocessing.detector is None:
            if self._samples.boxes is None:
                raise UserError(f"data.crop.name: is box, but the pictures in {self._samples.root} have no boxes")
            self._boxes = self._samples.boxes
        else:
            # They are small, and to find them takes as long as to decode: auto keeps them on disk in any case.
            on_disk = self.cache == "disk" or (self._data.cache == "auto" and free_bytes(self._folder) > 1 << 30)
            on_done = stage_if_begun(progress, "finding faces", len(self._paths))
            shared = self._shared(progress) if on_disk else None
            self._boxes = find_boxes(self._paths, self._preprocessing, on_done, shared)
        return self._boxes

    def pictures(self, progress: Progress) -> ImageCache:
        """The pictures, read at the first call.

        Raises:
            UserError: one of them cannot be read, or there is no room to keep them.
        """
        if self._pictures is None:
            boxes = self.boxes(progress)
            on_done = stage_if_begun(progress, "reading pictures", len(self._paths))
            shared = self._shared(progress) if self.cache == "disk" else None
            self._pictures = ImageCache(self._paths, self._preprocessing, self.cache, on_done, shared, boxes)
        return self._pictures

    def picture(self, index: int, progress: Progress) -> Pixels:
        """One picture, (H, W, 3) uint8, without the others being read.

        Raises:
            UserError: it cannot be read.
        """
        boxes = None if self._preprocessing.detector else self.boxes(progress)
        return self._preprocessing.load(self._paths[index], None if boxes is None else boxes[index])

    def facts(self, indices: NDArray[np.int64], progress: Progress) -> dict[str, Any]:
        """What the network sees of the pictures at ``indices``, as reports hold it.

        Returns:
            ``fit`` and, where there are any, ``first_frames``, as of ``framing.measure``; where pictures have boxes of
            their own, ``crop``: how many were cropped to them, and how many to the fallback.
        """
        boxes = self.boxes(progress)
        chosen = indices[framing.spread(len(indices), framing.MAX_MEASURED)]
        facts = framing.measure(
            [self._paths[int(index)] for index in chosen],
            self._samples.images[chosen].tolist(),
            self._preprocessing,
            None if boxes is None else boxes[chosen],
        )
        return facts if boxes is None else {"crop": crop_counts(self._data.crop.name, boxes[indices]), **facts}

    def _shared(self, progress: Progress) -> SharedPixels:
        return SharedPixels(self._folder, self._contents(), progress.note)


def stage_if_begun(progress: Progress, name: str, num_images: int) -> Callable[[int], None]:
    """A piece of work that begins when its first picture is done: there is none where all is kept from before."""

    @cache
    def begun() -> Callable[[int], None]:
        return progress.stage(name, num_images, "images")

    return lambda done: begun()(done)
