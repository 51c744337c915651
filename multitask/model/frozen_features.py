"""Features of a frozen backbone, computed once: of the plain images, and of augmented views that are drawn once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multitask.data.batch import Batch
from multitask.data.images import Preprocessing
from multitask.errors import UserError
from multitask.model.encoder import Encoder
from multitask.model.feature_rows import FeatureRows
from multitask.model.settings import BackboneSettings
from multitask.utils.files import json_digest
from multitask.utils.ranks import Ranks, ranks
from multitask.utils.shared_arrays import check_room, kept_together

_VERSION = 2
"""Of how features are computed and kept; with another, those that were kept are not used any more."""
FeatureArray = NDArray[np.float32 | np.float16 | np.int16]
"""(N, width) rows as of ``FeatureRows.pack``."""


class Features:
    """The features of N images in k views each, served in the images' place.

    Args:
        views: k arrays of rows; the first is of the plain images, the others of augmented ones.
        rows: what a row holds.
    """

    def __init__(self, views: Sequence[FeatureArray], rows: FeatureRows) -> None:
        self._views = views
        self.rows = rows

    def __len__(self) -> int:
        return len(self._views[0])

    @property
    def num_views(self) -> int:
        """k."""
        return len(self._views)

    def take(self, indices: NDArray[np.int64]) -> FeatureArray:
        """(B, width), the rows of the plain images at B indices; a copy."""
        return self._views[0][indices]

    def draw(self, indices: NDArray[np.int64], seed: int) -> FeatureArray:
        """(B, width), a row of each of the images at B indices, of one of its views at random; a copy."""
        which = np.random.default_rng(seed).integers(len(self._views), size=len(indices))
        drawn = np.empty((len(indices), self.rows.width), self._views[0].dtype)
        for number, view in enumerate(self._views):
            drawn[which == number] = view[indices[which == number]]
        return drawn

    def normalise(self, images: Tensor) -> Tensor:
        """(B, width) numbers of a batch of rows."""
        return self.rows.numbers(images)


def compute_features(
    backbone: Encoder,
    batches: Callable[[Ranks], Iterable[Batch]],
    num_images: int,
    preprocessing: Preprocessing,
    autocast: torch.autocast,
    rows: FeatureRows,
    path: Path,
    on_done: Callable[[int], None],
) -> FeatureArray:
    """The features of images, computed if they are not in the cache; over several processes by all of them.

    Args:
        backbone: frozen whole, on its device.
        batches: gives the images in order, to one of several processes whole batches in turn. How a matrix product is
            rounded may depend on the number of its rows, so a run on features is that from images to the bit where
            these are batches of the size that trains.
        num_images: N.
        preprocessing: the run's.
        autocast: the precision that the network computes in.
        rows: what is kept of an image.
        path: the file of the cache, named by ``features_key``.
        on_done: called with the number of images done so far.

    Returns:
        (N, width), mapped from the file, which all processes that ask for it share; not to be written to.

    Raises:
        UserError: an image cannot be read; a feature is NaN or infinite, or beyond what it is to be kept in; the disk
            has no room.
    """
    assert backbone.frozen

    def make(here: Ranks) -> Iterator[FeatureArray]:
        device = next(backbone.parameters()).device
        backbone.eval()
        has_room = False
        for batch in batches(here):
            with torch.inference_mode(), autocast:
                encoded = backbone.forward_features(preprocessing.normalise(batch.images.to(device, non_blocking=True)))
            found = rows.pack(encoded)
            if not bool(rows.numbers(found).isfinite().all()):
                raise UserError(_not_finite(encoded.pooled, rows))
            made = found.cpu().numpy()
            if not has_room and path.parent.is_dir():  # else no process writes here
                check_room(path, num_images * rows.width * made.itemsize)
            has_room = True
            yield made

    done = 0

    def count(num: int) -> None:
        nonlocal done
        done += num
        on_done(done)

    return kept_together(path, num_images, make, ranks(), count)


def _not_finite(pooled: Tensor, rows: FeatureRows) -> str:
    if rows.half and bool(pooled.isfinite().all()):
        return "model.backbone.features.storage: half: a feature is beyond float16 (65,504); use exact"
    return (
        f"model.backbone: frozen, it answers NaN or infinities in {str(pooled.dtype)[6:]}; set other "
        "model.backbone.weights, or training.precision: fp32"
    )


def features_key(
    pixels: str,
    settings: BackboneSettings,
    state: str,
    processor: str,
    dtype: torch.dtype,
    batch_size: int,
    rows: FeatureRows,
    view: Mapping[str, Any] | None = None,
) -> str:
    """A cache key of features: equal for the same features to the bit, and for no others.

    Args:
        pixels: the key of the pixels.
        settings: the backbone's, of which the weights' path and how many stages are frozen make no difference.
        state: the digest of its weights.
        processor: the device and the number of threads, since others may round differently.
        dtype: in which it computes.
        batch_size: the number of images in a forward pass.
        rows: what is kept of an image.
        view: what an augmented view depends on, as JSON can hold it; None: the images are plain.
    """
    parts = {
        "version": _VERSION,
        "pixels": pixels,
        "backbone": settings.model_dump(mode="json", exclude={"weights", "freeze", "mean", "std", "features"}),
        "normalisation": settings.normalisation(),
        "state": state,
        "processor": processor,
        "dtype": str(dtype),
        "batch_size": batch_size,
        "rows": repr(rows),
        "view": view,
        "versions": [version(name) for name in ("torch", "timm")],
    }
    return json_digest(parts, 16)
