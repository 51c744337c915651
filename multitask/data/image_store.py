"""The images of samples: their boxes, pixels and caches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multitask.data import framing
from multitask.data.crop import crop_counts
from multitask.data.image_cache import ImageCache, SharedPixels, choose_cache, find_boxes, free_bytes, pixel_bytes
from multitask.data.image_facts import ImageFacts
from multitask.data.images import Pixels, Preprocessing, pixels_key
from multitask.data.samples import Samples
from multitask.data.settings import CacheName, DataSettings
from multitask.errors import UserError
from multitask.progress import Progress
from multitask.utils.files import content_digest
from multitask.utils.shared_arrays import default_folder


class ImageStore:
    """The preprocessed images of samples, read on access and cached.

    Args:
        settings: the ``data`` section.
        samples: of the images.
        preprocessing: the network's.
        reuse: the folder in which pixels are kept for other runs, whatever ``cache`` says but ``none`` and ``disk``.
    """

    def __init__(
        self,
        settings: DataSettings,
        samples: Samples,
        preprocessing: Preprocessing,
        reuse: Path | None = None,
    ) -> None:
        self._settings = settings
        self._samples = samples
        self._paths = samples.paths()
        self.preprocessing = preprocessing
        self._folder = default_folder() if settings.cache_dir is None else Path(settings.cache_dir)
        self.cache: CacheName = choose_cache(settings.cache, pixel_bytes(len(samples), preprocessing), self._folder)
        if reuse is not None and settings.cache in ("auto", "memory"):
            self._folder, self.cache = reuse, "disk"
        self._boxes: NDArray[np.float64] | None = None
        self._images: ImageCache | None = None

    def __len__(self) -> int:
        return len(self._paths)

    @cached_property
    def contents(self) -> list[bytes]:
        """A digest of each image's file, as it was when they were first asked for.

        Raises:
            UserError: a file cannot be read.
        """
        return [content_digest(path) for path in self._paths]

    def pixels_key(self, progress: Progress) -> str:
        """The cache key of the images' pixels: equal for the same pixels, and for no others.

        Raises:
            UserError: an image cannot be read.
        """
        return pixels_key(self.contents, self.preprocessing, self.boxes(progress))

    def boxes(self, progress: Progress) -> NDArray[np.float64] | None:
        """(N, 4) the box of each image, NaN where it has none; None where the crop uses no boxes.

        Raises:
            UserError: an image cannot be read; the crop needs boxes, and the samples have none.
        """
        if not self.preprocessing.crop.boxed or self._boxes is not None:
            return self._boxes
        if self.preprocessing.detector is None:
            if self._samples.boxes is None:
                raise UserError(f"data.crop.name: is box, but the images in {self._samples.root} have no boxes")
            self._boxes = self._samples.boxes
        else:
            # They are small, and to find them takes as long as to decode: auto keeps them on disk in any case.
            on_disk = self.cache == "disk" or (self._settings.cache == "auto" and free_bytes(self._folder) > 1 << 30)
            on_done = stage_if_begun(progress, "finding faces", len(self._paths))
            shared = self._shared(progress) if on_disk else None
            self._boxes = find_boxes(self._paths, self.preprocessing, on_done, shared)
        return self._boxes

    def images(self, progress: Progress) -> ImageCache:
        """The images, read at the first call.

        Raises:
            UserError: one of them cannot be read, or there is no room to keep them.
        """
        if self._images is None:
            boxes = self.boxes(progress)
            on_done = stage_if_begun(progress, "reading images", len(self._paths))
            shared = self._shared(progress) if self.cache == "disk" else None
            self._images = ImageCache(self._paths, self.preprocessing, self.cache, on_done, shared, boxes)
        return self._images

    def image(self, index: int, progress: Progress) -> Pixels:
        """One image, (H, W, 3) uint8, without the others being read.

        Raises:
            UserError: it cannot be read.
        """
        boxes = None if self.preprocessing.detector else self.boxes(progress)
        return self.preprocessing.load(self._paths[index], None if boxes is None else boxes[index])

    def facts(self, indices: NDArray[np.int64], progress: Progress) -> ImageFacts:
        """The facts on how the images at ``indices`` are cropped and fitted."""
        boxes = self.boxes(progress)
        chosen = indices[framing.spread(len(indices), framing.MAX_MEASURED)]
        facts = framing.measure(
            [self._paths[int(index)] for index in chosen],
            self._samples.images[chosen].tolist(),
            self.preprocessing,
            None if boxes is None else boxes[chosen],
        )
        return facts if boxes is None else replace(facts, crop=crop_counts(self._settings.crop.name, boxes[indices]))

    def _shared(self, progress: Progress) -> SharedPixels:
        return SharedPixels(self._folder, self.contents, progress.note)


def stage_if_begun(progress: Progress, name: str, num_images: int) -> Callable[[int], None]:
    """A piece of work that begins when its first image is done: there is none where all is kept from before."""

    @cache
    def begun() -> Callable[[int], None]:
        return progress.stage(name, num_images, "images")

    return lambda done: begun()(done)
