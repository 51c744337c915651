"""The images of samples: their boxes, pixels and caches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multitask.data import framing
from multitask.data.crop import crop_counts
from multitask.data.image_cache import ImageCache, SharedPixels, choose_cache, find_boxes, free_bytes, pixel_bytes
from multitask.data.image_facts import ImageFacts
from multitask.data.images import Pixels, Preprocessing, distinct, per_image, pixels_key
from multitask.data.samples import Samples
from multitask.data.settings import DATA_CROP, CacheName, DataSettings
from multitask.errors import UserError
from multitask.progress import Progress
from multitask.utils.files import content_digest
from multitask.utils.ranks import Ranks, ranks


class ImageStore:
    """The preprocessed images of samples, read on access and cached.

    Attributes:
        preprocessing: as the argument.
        preprocessings: N, that of each image: another than the network's where its source has a crop or fit of its own.

    Args:
        settings: the ``data`` section.
        samples: of the images, N.
        preprocessing: the network's, of images to be answered.
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
        self.preprocessings = _preprocessings(settings, samples, preprocessing)
        self._folder = settings.cache_folder
        self.cache: CacheName = choose_cache(
            settings.cache, pixel_bytes(len(samples), preprocessing.size), self._folder, ranks().local_size
        )
        if not settings.sampler.keeps_images:
            self.cache = "none"
        elif reuse is not None and settings.cache in ("auto", "memory"):
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

    def pixels_key(self, progress: Progress, here: Ranks | None = None) -> str:
        """The cache key of the images' pixels: equal for the same pixels, and for no others; ``here`` as of ``boxes``.

        Raises:
            UserError: an image cannot be read.
        """
        return pixels_key(self.contents, self.preprocessings, self.boxes(progress, here))

    def boxes(self, progress: Progress, here: Ranks | None = None) -> NDArray[np.float64] | None:
        """(N, 4) the box of each image, NaN where it has none; None where the crop uses no boxes.

        Args:
            progress: notified of every step of the work.
            here: the place of this process among several that all call it, and look for faces in some of the images
                each. None: it looks at them all.

        Raises:
            UserError: an image cannot be read; the crop needs boxes, and the samples have none.
        """
        parts = [(part, rows) for part, rows in distinct(self.preprocessings) if part.crop.boxed]
        here = _together(here, (self._boxes is None, self._keeps_boxes))
        if not parts or self._boxes is not None:
            return self._boxes
        boxes = np.full((len(self), 4), np.nan)
        for preprocessing, rows in parts:
            boxes[rows] = self._boxes_of(preprocessing, rows, progress, here)
        self._boxes = boxes
        return boxes

    @cached_property
    def _keeps_boxes(self) -> bool:
        """Whether boxes go to disk: they are small, and take as long to find as to decode; ``auto`` keeps them too."""
        return self.cache == "disk" or (self._settings.cache == "auto" and free_bytes(self._folder) > 1 << 30)

    def _boxes_of(
        self, preprocessing: Preprocessing, rows: NDArray[np.int64], progress: Progress, here: Ranks | None
    ) -> NDArray[np.float64]:
        """(n, 4) the boxes of some images, as the crop that all of them have looks for them."""
        if preprocessing.reads_table:
            given = self._given(preprocessing, int(rows[0]))
            several = len(self._samples.roots or ()) > 1
            for name in dict.fromkeys(self._samples.sources[rows]):
                own = rows[self._samples.sources[rows] == name]
                if np.isnan(given[own]).all() and (several or self._crop_key(int(own[0])) != DATA_CROP):
                    raise self._without_boxes(preprocessing, int(own[0]))
            return given[rows]
        on_done = stage_if_begun(progress, "finding faces", len(rows))
        shared = self._shared(progress) if self._keeps_boxes else None
        if shared is not None:
            shared = replace(shared, contents=[shared.contents[row] for row in rows])
        return find_boxes(self._samples.take(rows).paths(), preprocessing, on_done, shared, here)

    def _given(self, preprocessing: Preprocessing, index: int) -> NDArray[np.float64]:
        """(N, 4) the samples' boxes or eyes, which the crop of the image at an index needs."""
        given = preprocessing.given(self._samples)
        if given is None:
            raise self._without_boxes(preprocessing, index)
        return given

    def _without_boxes(self, preprocessing: Preprocessing, index: int) -> UserError:
        samples, crop = self._samples, preprocessing.crop
        how = "; name YuNet's file in model, or a table's columns in eyes" if crop.reads == "eyes" else ""
        root = samples.root if samples.roots is None else samples.roots[samples.sources[index]]
        return UserError(
            f"{self._crop_key(index)}.name: is {crop.name}, but the images in {root} have no {crop.reads}{how}"
        )

    def _crop_key(self, index: int) -> str:
        return self._settings.framing(None if self._samples.roots is None else self._samples.sources[index])[2]

    def images(self, progress: Progress, here: Ranks | None = None) -> ImageCache:
        """The images, read at the first call.

        Args:
            progress: notified of every step of the work.
            here: the place of this process among several that all call it, and decode some of the images each for all.
                None: it reads them all.

        Raises:
            UserError: one of them cannot be read, or there is no room to keep them.
        """
        if self._images is None:
            boxes = self.boxes(progress, here)
            on_done = stage_if_begun(progress, "reading images", len(self._paths))
            shared = self._shared(progress) if self.cache == "disk" else None
            here = _together(here, self.cache)
            self._images = ImageCache(self._paths, self.preprocessings, self.cache, on_done, shared, boxes, here)
        return self._images

    def own_images(
        self, parts: Sequence[NDArray[np.int64]], here: Ranks, progress: Progress
    ) -> ImageCache | SomeImages:
        """The images of which each of several processes looks at some: it reads no others where they go to memory.

        Args:
            parts: the images' places, in parts that are dealt to the processes in turn.
            here: the place of this process.
            progress: notified of every step of the work.

        Raises:
            UserError: as of ``images``.
        """
        if here.size == 1 or set(here.gather(lambda: self.cache)) != {"memory"}:
            return self.images(progress, here)
        rows = np.concatenate([np.empty(0, dtype=np.int64), *parts[here.rank :: here.size]])
        boxes = self.boxes(progress, here)
        if not len(rows):
            return SomeImages(None, rows, len(self))
        settings = self._settings.model_copy(update={"cache": "memory"})
        own = ImageStore(settings, self._samples.take(rows), self.preprocessing)
        own._boxes = None if boxes is None else boxes[rows]
        return SomeImages(own.images(progress), rows, len(self))

    def image(self, index: int, progress: Progress) -> Pixels:
        """One image, (H, W, 3) uint8, without the others being read.

        Raises:
            UserError: it cannot be read.
        """
        preprocessing = self.preprocessings[index]
        box = self._given(preprocessing, index)[index] if preprocessing.reads_table else None
        return preprocessing.load(self._paths[index], box)

    def facts(self, indices: NDArray[np.int64], progress: Progress) -> ImageFacts:
        """The facts on how the images at ``indices`` are cropped and fitted.

        Of images whose source is framed otherwise than those to be answered, only their frames are told.
        """
        boxes = self.boxes(progress)
        chosen = indices[framing.spread(len(indices), framing.MAX_MEASURED)]
        facts = framing.measure(
            [self._paths[int(index)] for index in chosen],
            self._samples.images[chosen].tolist(),
            self.preprocessing,
            None if boxes is None else boxes[chosen],
            [self.preprocessings[index] for index in chosen],
        )
        alike = np.array([self.preprocessings[index] is self.preprocessing for index in indices], dtype=bool)
        if boxes is None or not self.preprocessing.crop.boxed or not alike.any():
            return facts
        return replace(facts, crop=crop_counts(self.preprocessing.crop.name, boxes[indices[alike]]))

    def _shared(self, progress: Progress) -> SharedPixels:
        return SharedPixels(self._folder, self.contents, progress.note)


class SomeImages:
    """Images by their places among N, of which some are here.

    Args:
        images: those, in order; None: there are none.
        rows: their places.
        num: N.
    """

    def __init__(self, images: ImageCache | None, rows: NDArray[np.int64], num: int) -> None:
        self._images = images
        self._places = np.full(num, -1)
        self._places[rows] = np.arange(len(rows))

    def __len__(self) -> int:
        return len(self._places)

    def take(self, indices: NDArray[np.int64]) -> Pixels:
        """(B, H, W, 3) uint8, the images at B indices, which must be here; a copy."""
        places = self._places[indices]
        assert self._images is not None
        assert (places >= 0).all(), "images were asked for that are another process's"
        return self._images.take(places)


def _together(here: Ranks | None, own: object) -> Ranks | None:
    """The place of this process among several that do a piece of work together; None where they differ in ``own``."""
    return None if here is None or len(set(here.gather(lambda: own))) > 1 else here


def _preprocessings(settings: DataSettings, samples: Samples, preprocessing: Preprocessing) -> Sequence[Preprocessing]:
    """The preprocessing of each of N samples: of a source that is framed otherwise, its own."""
    roots = samples.roots or ()  # of sources that are mixed: images that come from elsewhere are to be answered
    normalisation = (preprocessing.mean, preprocessing.std)
    own = {name: settings.preprocessing(normalisation, name) for name in settings.reframed if name in roots}
    return per_image([own.get(name, preprocessing) for name in samples.sources] if own else preprocessing, len(samples))


def stage_if_begun(progress: Progress, name: str, num_images: int) -> Callable[[int], None]:
    """A piece of work that begins when its first image is done: there is none where all is kept from before."""

    @cache
    def begun() -> Callable[[int], None]:
        return progress.stage(name, num_images, "images")

    return lambda done: begun()(done)
